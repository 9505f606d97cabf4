package fetch

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Source is one entry of an apt source list, in either of apt's two notations.
type Source struct {
	URIs       []string
	Suites     []string
	Components []string
	SignedBy   string // a keyring's path, or a key block with its line breaks; empty: apt's trusted keys
	Trusted    string // "yes" where the list says so
}

// parseOneLine reads the one-line notation ("deb [signed-by=K] URI SUITE COMPONENT..."), as in sources.list and *.list.
// Lines that are not binary sources are left out; see sources.list(5).
func parseOneLine(text string) []Source {
	var out []Source
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		rest, ok := strings.CutPrefix(line, "deb")
		if !ok || rest == "" || (rest[0] != ' ' && rest[0] != '\t' && rest[0] != '[') {
			continue
		}
		rest = strings.TrimSpace(rest)
		var s Source
		if strings.HasPrefix(rest, "[") {
			options, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				continue
			}
			rest = after
			for _, option := range strings.Fields(options) {
				name, value, _ := strings.Cut(option, "=")
				switch strings.ToLower(name) {
				case "signed-by":
					s.SignedBy = value
				case "trusted":
					s.Trusted = value
				}
			}
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		s.URIs, s.Suites, s.Components = fields[:1], fields[1:2], fields[2:]
		out = append(out, s)
	}
	return out
}

// parseDeb822 reads the stanza notation, as in *.sources. Disabled stanzas and those without "deb" among their types
// are left out.
func parseDeb822(text string) []Source {
	var out []Source
	fields := map[string]string{}
	last := ""
	flush := func() {
		enabled := strings.ToLower(strings.TrimSpace(fields["enabled"]))
		if slices.Contains(strings.Fields(fields["types"]), "deb") && !slices.Contains([]string{"no", "false", "0", "off"}, enabled) {
			out = append(out, Source{
				URIs:       strings.Fields(fields["uris"]),
				Suites:     strings.Fields(fields["suites"]),
				Components: strings.Fields(fields["components"]),
				SignedBy:   strings.TrimSpace(fields["signed-by"]),
				Trusted:    strings.TrimSpace(fields["trusted"]),
			})
		}
		fields, last = map[string]string{}, ""
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "":
			flush()
		case strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				fields[last] += "\n" + strings.TrimSpace(line)
			}
		default:
			name, value, ok := strings.Cut(line, ":")
			if ok {
				last = strings.ToLower(strings.TrimSpace(name))
				fields[last] = strings.TrimSpace(value)
			}
		}
	}
	flush()
	return out
}

// deb822 writes the source with other suites, in the stanza notation.
func (s Source) deb822(suites ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: amd64\n",
		strings.Join(s.URIs, " "), strings.Join(suites, " "))
	if s.SignedBy != "" {
		fmt.Fprintf(&b, "Signed-By: %s\n", strings.ReplaceAll(s.SignedBy, "\n", "\n "))
	}
	if s.Trusted != "" {
		fmt.Fprintf(&b, "Trusted: %s\n", s.Trusted)
	}
	return b.String()
}

// Mirror is where Debian's packages are to be had: the archive, and the security archive where the machine uses one.
type Mirror struct {
	Main     Source
	Security *Source
}

var (
	mainSuite = regexp.MustCompile(`^(buster|bullseye|bookworm|trixie|forky|duke|sid|(old){0,2}stable|testing|unstable)(-updates|-backports)?/?$`)
	secSuite  = regexp.MustCompile(`^(buster|bullseye|bookworm|trixie|forky|duke|(old){0,2}stable|testing)(-security|/updates)/?$`)
)

// pickMirror finds Debian's own archive among the sources. Other vendors use Debian's suite names too, so a source
// whose address ends in "debian" or that is signed by Debian's archive keyring goes before one that only looks right.
func pickMirror(sources []Source) (Mirror, error) {
	best := func(suite *regexp.Regexp, name string) *Source {
		var found *Source
		most := -1
		for _, s := range sources {
			if !slices.ContainsFunc(s.Suites, suite.MatchString) || !slices.Contains(s.Components, "main") || len(s.URIs) == 0 {
				continue
			}
			if strings.HasPrefix(s.URIs[0], "cdrom:") {
				continue
			}
			score := 0
			if path.Base(strings.TrimRight(s.URIs[0], "/")) == name {
				score += 2
			}
			if strings.Contains(s.SignedBy, "debian-archive") {
				score++
			}
			if score > most {
				found, most = &s, score
			}
		}
		return found
	}
	main := best(mainSuite, "debian")
	if main == nil {
		return Mirror{}, errors.New("apt's source lists name no Debian archive: add one (sources.list(5)) to fetch guest kernels")
	}
	return Mirror{Main: *main, Security: best(secSuite, "debian-security")}, nil
}
