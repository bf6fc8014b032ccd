"""What lies between two sites: routes, gateways, VPN connections, transit gateways, peerings."""
