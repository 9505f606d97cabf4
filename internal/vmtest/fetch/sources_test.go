package fetch

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var oneLineTests = []struct {
	name, text string
	want       []Source
}{
	{"nothing", "", nil},
	{"plain", "deb http://mirror.example/debian bookworm main contrib\n", []Source{
		{URIs: []string{"http://mirror.example/debian"}, Suites: []string{"bookworm"}, Components: []string{"main", "contrib"}},
	}},
	{"options", "deb [ arch=amd64 signed-by=/usr/share/keyrings/k.gpg trusted=yes ]\thttp://m.example/debian/ sid main", []Source{
		{
			URIs: []string{"http://m.example/debian/"}, Suites: []string{"sid"}, Components: []string{"main"},
			SignedBy: "/usr/share/keyrings/k.gpg", Trusted: "yes",
		},
	}},
	{"options without a blank", "deb[signed-by=/k]http://m.example/debian sid main", []Source{
		{URIs: []string{"http://m.example/debian"}, Suites: []string{"sid"}, Components: []string{"main"}, SignedBy: "/k"},
	}},
	{"comments and sources", "# deb http://a.example/debian sid main\ndeb-src http://b.example/debian sid main\n  deb http://c.example/debian sid main # why\n", []Source{
		{URIs: []string{"http://c.example/debian"}, Suites: []string{"sid"}, Components: []string{"main"}},
	}},
	{"flat", "deb http://a.example/flat ./\n", []Source{
		{URIs: []string{"http://a.example/flat"}, Suites: []string{"./"}, Components: []string{}},
	}},
	{"broken", "deb\ndeb [signed-by=/k http://a.example/debian sid main\ndeb http://a.example/debian\ndebian\n", nil},
}

func TestParseOneLine(t *testing.T) {
	for _, tt := range oneLineTests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parseOneLine(tt.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var deb822Tests = []struct {
	name, text string
	want       []Source
}{
	{"nothing", "\n\n", nil},
	{
		"two stanzas", "Types: deb\n# a comment\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\n" +
			"types: deb deb-src\nuris: http://m.example/debian-security\nsuites: bookworm-security\ncomponents: main\n",
		[]Source{
			{
				URIs: []string{"http://m.example/debian"}, Suites: []string{"bookworm", "bookworm-updates"},
				Components: []string{"main"}, SignedBy: "/k.gpg",
			},
			{URIs: []string{"http://m.example/debian-security"}, Suites: []string{"bookworm-security"}, Components: []string{"main"}},
		},
	},
	{
		"a key in the list", "Types: deb\nURIs: http://m.example/debian\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n",
		[]Source{{
			URIs: []string{"http://m.example/debian"}, Suites: []string{"sid"}, Components: []string{"main"},
			SignedBy: "-----BEGIN\n.\nabc",
		}},
	},
	{
		"fields over several lines", "Types: deb\nURIs:\n http://a.example/debian\n http://b.example/debian\nSuites: sid\nComponents: main\n",
		[]Source{{
			URIs: []string{"http://a.example/debian", "http://b.example/debian"}, Suites: []string{"sid"}, Components: []string{"main"},
		}},
	},
	{"disabled", "Enabled: no\nTypes: deb\nURIs: http://m.example/debian\nSuites: sid\nComponents: main\n", nil},
	{"only sources", "Types: deb-src\nURIs: http://m.example/debian\nSuites: sid\nComponents: main\n", nil},
	{"broken", " continued: nothing\nno colon\n", nil},
}

func TestParseDeb822(t *testing.T) {
	for _, tt := range deb822Tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parseDeb822(tt.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is written for apt must say the same when it is read again.
func TestDeb822RoundTrip(t *testing.T) {
	for _, s := range []Source{
		{URIs: []string{"http://m.example/debian"}, SignedBy: "/usr/share/keyrings/k.gpg"},
		{URIs: []string{"mirror+file:/etc/apt/mirrors/debian.list"}},
		{URIs: []string{"http://a.example/debian", "http://b.example/debian"}, SignedBy: "-----BEGIN\n.\nabc\n-----END", Trusted: "yes"},
	} {
		want := s
		want.Suites, want.Components = []string{"trixie", "bookworm"}, []string{"main"}
		got := parseDeb822(s.deb822("trixie", "bookworm"))
		if diff := cmp.Diff([]Source{want}, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestPickMirror(t *testing.T) {
	main := []string{"main"}
	debian := Source{URIs: []string{"http://m.example/debian/"}, Suites: []string{"bookworm", "bookworm-updates"}, Components: main}
	security := Source{URIs: []string{"http://m.example/debian-security"}, Suites: []string{"bookworm-security"}, Components: main}
	oldSecurity := Source{URIs: []string{"http://m.example/debian-security"}, Suites: []string{"buster/updates"}, Components: main}
	snapshot := Source{URIs: []string{"http://m.example/archive/20260101T000000Z"}, Suites: []string{"trixie"}, Components: main, SignedBy: "/usr/share/keyrings/debian-archive-keyring.gpg"}
	vendor := Source{URIs: []string{"http://vendor.example/apt"}, Suites: []string{"bookworm"}, Components: main}
	other := Source{URIs: []string{"http://vendor.example/apt"}, Suites: []string{"cloud-sdk-bookworm"}, Components: main}
	docker := Source{URIs: []string{"http://vendor.example/debian"}, Suites: []string{"bookworm"}, Components: []string{"stable"}}
	cdrom := Source{URIs: []string{"cdrom:[Debian]/"}, Suites: []string{"bookworm"}, Components: main}
	for _, tt := range []struct {
		name     string
		sources  []Source
		main     Source
		security *Source
	}{
		{"archive and security", []Source{vendor, debian, security}, debian, &security},
		{"vendor after", []Source{debian, vendor}, debian, nil},
		{"snapshot", []Source{vendor, snapshot}, snapshot, nil},
		{"old security suite", []Source{oldSecurity, debian}, debian, &oldSecurity},
		{"only what looks right", []Source{other, vendor}, vendor, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pickMirror(tt.sources)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Mirror{tt.main, tt.security}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := pickMirror([]Source{security, other, docker, cdrom, {Suites: []string{"sid"}, Components: main}}); err == nil {
		t.Error("a machine without a Debian archive has a mirror")
	}
}

func FuzzSources(f *testing.F) {
	for _, tt := range oneLineTests {
		f.Add(tt.text)
	}
	for _, tt := range deb822Tests {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range append(parseOneLine(text), parseDeb822(text)...) {
			_, _ = pickMirror([]Source{s})
			if strings.Contains(s.deb822("sid"), "\n\n") && !strings.Contains(s.SignedBy, "\n\n") {
				t.Errorf("%+v breaks its stanza: %q", s, s.deb822("sid"))
			}
		}
	})
}
