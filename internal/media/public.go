package media

import "net/netip"

// special are the IPv4 networks that are not the public internet, or serve special ends.
// https://www.iana.org/assignments/iana-ipv4-special-registry
var special = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared by a carrier's customers; Alibaba Cloud's metadata
	"127.0.0.0/8",      // this machine
	"168.63.129.16/32", // Azure's agent
	"169.254.0.0/16",   // link-local; the metadata of most clouds
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocol assignments; Oracle Cloud's metadata
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // relays of 6to4
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarks
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast
)

// Of IPv6 only what is given out as global unicast counts as public, less these.
// https://www.iana.org/assignments/iana-ipv6-special-registry
var (
	global   = netip.MustParsePrefix("2000::/3")
	special6 = prefixes(
		"2001::/23",     // protocol assignments, Teredo and benchmarks among them
		"2001:db8::/32", // documentation
		"3fff::/20",     // documentation
	)
	sixToFour = netip.MustParsePrefix("2002::/16")    // an IPv4 address in bytes 2 to 5
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // an IPv4 address in the last four bytes
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// public tells whether ip is of the public internet. An IPv6 address that stands for an
// IPv4 one is judged as that.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return !within(special, ip)
	}
	bytes := ip.As16()
	switch {
	case nat64.Contains(ip):
		return public(netip.AddrFrom4([4]byte(bytes[12:])))
	case sixToFour.Contains(ip):
		return public(netip.AddrFrom4([4]byte(bytes[2:6])))
	}
	return global.Contains(ip) && !within(special6, ip)
}

func within(networks []netip.Prefix, ip netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}
