package open

import (
	"errors"
	"fmt"
	"strings"
)

// Globs are patterns for absolute paths: `*` and `?` stand for what is in one name, `**` for any number of them, `[a-z]`
// and `[!a-z]` for one character, `\x` for x. One without a slash is for the last name. Negated ones begin with `!`.
type Globs struct {
	want, not []string
}

// ParseGlobs checks patterns. An error quotes the pattern and says what is wrong with it.
func ParseGlobs(patterns []string) (*Globs, error) {
	g := new(Globs)
	for _, p := range patterns {
		list, body := &g.want, p
		if rest, negated := strings.CutPrefix(p, "!"); negated {
			list, body = &g.not, rest
		}
		if err := checkGlob(body); err != nil {
			return nil, fmt.Errorf("--path %q: %w", p, err)
		}
		*list = append(*list, body)
	}
	return g, nil
}

const maxGlob = 4096

func checkGlob(p string) error {
	if p == "" {
		return errors.New("empty; give a pattern like '/etc/**'")
	}
	if len(p) > maxGlob {
		return fmt.Errorf("longer than %d bytes", maxGlob)
	}
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '\\':
			if i++; i == len(p) {
				return errors.New(`ends with a \; write \\ for one`)
			}
		case '[':
			end := classEnd(p[i:])
			if end < 0 {
				return errors.New(`a [ without its ]; write \[ for one`)
			}
			i += end
		}
	}
	return nil
}

// classEnd is where the ] of the class lies that p begins with, -1 if there is none.
func classEnd(p string) int {
	i := 1
	if i < len(p) && (p[i] == '!' || p[i] == '^') {
		i++
	}
	if i < len(p) && p[i] == ']' {
		i++
	}
	for ; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case ']':
			return i
		}
	}
	return -1
}

// Match says whether one of the patterns matches, or there are only negated ones, and none of the negated ones does.
func (g *Globs) Match(path []byte) bool {
	for _, p := range g.not {
		if matchPath(p, path) {
			return false
		}
	}
	for _, p := range g.want {
		if matchPath(p, path) {
			return true
		}
	}
	return len(g.want) == 0
}

func matchPath(p string, path []byte) bool {
	if !strings.Contains(p, "/") {
		for i := len(path) - 1; i >= 0; i-- {
			if path[i] == '/' {
				path = path[i+1:]
				break
			}
		}
	}
	return matchGlob(p, path)
}

// matchGlob goes back to the last star only, or to the last double star when that fails: so its time is bounded by the
// product of the lengths, with both kinds.
func matchGlob(p string, s []byte) bool {
	type back struct{ p, s int }
	star, stars := back{-1, 0}, back{-1, 0}
	i, j := 0, 0
	for {
		if i < len(p) && p[i] == '*' {
			if i+1 < len(p) && p[i+1] == '*' {
				named := i > 0 && p[i-1] == '/'
				for i < len(p) && p[i] == '*' {
					i++
				}
				stars, star = back{i, j}, back{-1, 0}
				if named && i < len(p) && p[i] == '/' { // between two slashes it may stand for no name, and one of the slashes goes too
					stars.s--
					i++
				}
			} else {
				i++
				star = back{i, j}
			}
			continue
		}
		if i == len(p) && j == len(s) {
			return true
		}
		if i < len(p) && j < len(s) {
			if n := matchOne(p[i:], s[j]); n > 0 {
				i, j = i+n, j+1
				continue
			}
		}
		switch {
		case star.p >= 0 && star.s < len(s) && s[star.s] != '/':
			star.s++
			i, j = star.p, star.s
		case stars.p >= 0 && stars.s < len(s):
			stars.s++
			i, j, star = stars.p, stars.s, back{-1, 0}
		default:
			return false
		}
	}
}

// matchOne says how many bytes of the pattern, which begins with no star, match c; 0: none.
func matchOne(p string, c byte) int {
	switch p[0] {
	case '?':
		if c != '/' {
			return 1
		}
	case '\\':
		if p[1] == c {
			return 2
		}
	case '[':
		end := classEnd(p)
		if c != '/' && inClass(p[1:end], c) {
			return end + 1
		}
	default:
		if p[0] == c {
			return 1
		}
	}
	return 0
}

// inClass says whether c is in what stands between [ and ].
func inClass(class string, c byte) bool {
	negated := class[0] == '!' || class[0] == '^'
	if negated {
		class = class[1:]
	}
	in := false
	for i := 0; i < len(class); i++ {
		lo := class[i]
		if lo == '\\' && i+1 < len(class) {
			i++
			lo = class[i]
		}
		hi := lo
		if i+2 < len(class) && class[i+1] == '-' {
			i += 2
			if hi = class[i]; hi == '\\' && i+1 < len(class) {
				i++
				hi = class[i]
			}
		}
		in = in || lo <= c && c <= hi
	}
	return in != negated
}
