package peers

import "testing"

func TestPickMirror(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"the first of two", "http://a.example/debian/ Debian Debian\nhttp://b.example/debian/ Debian Debian\n", "http://a.example/debian"},
		{"not the security archive", "http://a.example/debian-security/ Debian Debian-Security\nhttp://b.example/debian Debian Debian\n", "http://b.example/debian"},
		{"not another vendor", "https://x.example/ Vendor Vendor\nhttp://b.example/debian/ Debian Debian\n", "http://b.example/debian"},
		{"lists that were never fetched have no origin", "http://a.example/debian/  \n", ""},
		{"nothing", "", ""},
	} {
		got, err := pickMirror(test.in)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: got %q, %v; want %q", test.name, got, err, test.want)
		}
	}
}
