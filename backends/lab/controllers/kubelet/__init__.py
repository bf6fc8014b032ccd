"""What happens on the nodes: pods from bound to gone, their volumes, images, addresses and processes."""
