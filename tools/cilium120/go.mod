module meshwright/tools/cilium120

go 1.26

require github.com/cilium/cilium v1.20.2 // indirect
