module meshwright/tools/cilium115

go 1.26

require github.com/cilium/cilium v1.15.19 // indirect
