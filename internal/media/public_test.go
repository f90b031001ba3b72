package media

import (
	"net/netip"
	"testing"
)

func TestOnlyThePublicInternetIsPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"1.1.1.1": true, "93.184.216.34": true, "100.63.255.255": true, "100.128.0.1": true, "172.15.0.1": true,
		"172.32.0.1": true, "223.255.255.255": true, "9.255.255.255": true, "198.20.0.1": true, "168.63.129.15": true,
		"2606:4700:4700::1111": true, "2a03:2880:f003::1": true, "2001:4860:4860::8888": true,
		"::ffff:1.1.1.1": true, "64:ff9b::101:101": true, "2002:101:101::1": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "10.255.255.255": false, "100.64.0.1": false, "100.100.100.200": false,
		"100.127.255.255": false, "127.0.0.1": false, "127.255.255.254": false, "168.63.129.16": false, "169.254.169.254": false,
		"172.16.0.1": false, "172.31.255.255": false, "192.0.0.192": false, "192.0.2.1": false, "192.88.99.1": false,
		"192.168.1.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::7f00:1": false, "fe80::1": false, "fe80::1%eth0": false, "febf::1": false, "fec0::1": false,
		"fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "100::1": false, "2001:db8::1": false, "3fff::1": false,
		"2001::1": false, "2001:0:4136:e378:8000:63bf:3fff:fdd2": false, "2001:2::1": false, "2001:10::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false,
		"64:ff9b:1::7f00:1": false, "2002:7f00:1::1": false, "2002:a9fe:a9fe::": false, "2002:c0a8:101::1": false, "5f00::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("public(%s) is %v", text, got)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address at all is public")
	}
}
