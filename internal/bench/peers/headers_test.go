package peers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAcquireOptions(t *testing.T) {
	const dump = `Acquire "";
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::IndexTargets::deb::Contents "";
APT::Something "x";
`
	const want = `APT::Sandbox::User "root";
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy.example:3128";
`
	if diff := cmp.Diff(want, string(acquireOptions([]byte(dump)))); diff != "" {
		t.Error(diff)
	}
}
