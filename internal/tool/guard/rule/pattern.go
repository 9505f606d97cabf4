package rule

import (
	"fmt"
	"path"
	"strings"
)

// Sizes that the kernel's tables and file systems set.
const (
	maxPath = 4095 // bytes, without the NUL
	maxName = 255  // of one name
	maxGlob = 64   // of the name at the end of a glob, which the kernel compares

	maxElements = 63 // characters and classes of one: guard_glob in guard.h
)

// kindNames are how a kind is said where the form of the path does not say it: file:PATH.
var kindNames = [...]string{File: "file", Tree: "tree", Glob: "glob", BaseName: "name"}

// String is the kind's word in rules.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "none"
}

// fault is a Problem without its place.
type fault struct{ what, todo string }

func (f *fault) at(file string, pos Pos) *Problem {
	return &Problem{File: file, Pos: pos, What: f.what, Todo: f.todo}
}

// parsePattern reads a pattern as it is written in one word: PATH, or KIND:PATH where the kind is not to be guessed. A
// relative path starts from dir; with dir "" it is refused.
func parsePattern(word, dir string) (Pattern, *fault) {
	for kind, name := range kindNames {
		if rest, ok := strings.CutPrefix(word, name+":"); ok {
			return patternOf(Kind(kind), true, rest, dir)
		}
	}
	switch {
	case word == "." || word == "..":
		return patternOf(File, false, word, dir)
	case word != "" && !strings.Contains(word, "/"):
		return patternOf(BaseName, false, word, dir)
	case HasMeta(word):
		return patternOf(Glob, false, word, dir)
	case strings.HasSuffix(word, "/"):
		return patternOf(Tree, false, word, dir)
	}
	return patternOf(File, false, word, dir)
}

// patternOf checks and cleans what a pattern of that kind names. said: the rule names the kind.
func patternOf(kind Kind, said bool, name, dir string) (Pattern, *fault) {
	switch {
	case name == "":
		return Pattern{}, &fault{"an empty path", "write a path, a glob, or the name of a file"}
	case strings.IndexByte(name, 0) >= 0:
		return Pattern{}, &fault{quote(name) + ": a NUL is in it", "no file has such a name"}
	case len(name) > maxPath:
		return Pattern{}, &fault{fmt.Sprintf("%s: a path of %d bytes", quote(name), len(name)), fmt.Sprintf("the kernel takes %d", maxPath)}
	case strings.HasPrefix(name, "~/"):
		return Pattern{}, &fault{quote(name) + ": ~ is the shell's", "write the home directory in full"}
	}
	if kind == Glob && !strings.Contains(name, "/") {
		kind = BaseName
	}
	if kind == BaseName {
		return baseName(name)
	}
	full, f := absolute(kind, name, dir)
	if f != nil {
		return Pattern{}, f
	}
	if kind == Glob {
		return globOf(full)
	}
	full = path.Clean(full)
	if f := checkNames(full); f != nil {
		return Pattern{}, f
	}
	if kind == File && !said && full == "/" {
		kind = Tree
	}
	return Pattern{Kind: kind, Path: full, Exact: kind == File && said}, nil
}

// absolute joins name to dir. Of .. only what a relative name begins with is understood: behind a name that is a link it
// would lead somewhere else than it reads.
func absolute(kind Kind, name, dir string) (string, *fault) {
	if !strings.HasPrefix(name, "/") {
		if dir == "" {
			return "", &fault{quote(name) + ": a relative path", "write it from /, or a name without / for files of that name anywhere"}
		}
		for {
			name = strings.TrimLeft(strings.TrimPrefix(name, "./"), "/")
			rest, up := strings.CutPrefix(name, "../")
			if name == ".." {
				rest, up = ".", true
			}
			if !up {
				break
			}
			name, dir = rest, path.Dir(dir)
		}
		if kind == Glob {
			dir = Escape(dir)
		}
		name = strings.TrimSuffix(dir, "/") + "/" + name
	}
	for _, step := range strings.Split(name, "/") {
		if step == ".." {
			return "", &fault{quote(name) + ": .. behind a name leads elsewhere if that is a link", "write the path without .."}
		}
	}
	return name, nil
}

func checkNames(full string) *fault {
	for step := range strings.SplitSeq(full, "/") {
		if len(step) > maxName {
			return &fault{fmt.Sprintf("%s: a name of %d bytes", quote(step), len(step)), fmt.Sprintf("file systems take %d", maxName)}
		}
	}
	return nil
}

func baseName(name string) (Pattern, *fault) {
	if strings.Contains(name, "/") {
		return Pattern{}, &fault{quote(name) + ": a base name has no /", "write the last name of the path only, or file: and the path"}
	}
	if name == "." || name == ".." {
		return Pattern{}, &fault{quote(name) + " is no name of a file", "write the path of a directory"}
	}
	if f := checkGlobName(name, HasMeta(name)); f != nil {
		return Pattern{}, f
	}
	return Pattern{Kind: BaseName, Path: name}, nil
}

// globOf cleans and checks an absolute glob. One with nothing special in it is the file of that path.
func globOf(full string) (Pattern, *fault) {
	var steps []string
	for step := range strings.SplitSeq(full, "/") {
		if step != "" && step != "." {
			steps = append(steps, step)
		}
	}
	if !HasMeta(full) {
		for i := range steps {
			if f := checkGlobName(steps[i], false); f != nil {
				return Pattern{}, f
			}
			steps[i] = Unescape(steps[i])
		}
		name := "/" + strings.Join(steps, "/")
		return Pattern{Kind: File, Path: name, Exact: true}, checkNames(name)
	}
	for i, step := range steps {
		if step == "**" {
			continue
		}
		last := i == len(steps)-1 && (HasMeta(step) || i > 0 && steps[i-1] == "**")
		if f := checkGlobName(step, last); f != nil {
			return Pattern{}, f
		}
	}
	return Pattern{Kind: Glob, Path: "/" + strings.Join(steps, "/")}, nil
}

// checkGlobName checks a pattern for one name; last: it is one that the kernel will compare.
func checkGlobName(p string, last bool) *fault {
	if strings.Contains(p, "**") {
		return &fault{quote(p) + ": ** stands for directories, and only between slashes", "write * here"}
	}
	if name := Unescape(p); !HasMeta(p) && len(name) > maxName {
		return &fault{fmt.Sprintf("%s: a name of %d bytes", quote(name), len(name)), fmt.Sprintf("file systems take %d", maxName)}
	}
	elements := 0 // a star is between two
	for rest := p; rest != ""; {
		elements++
		switch rest[0] {
		case '*':
			elements--
			rest = rest[1:]
		case '[':
			class := classOf(rest)
			if class == nil {
				return &fault{quote(p) + ": a [ without its ]", `close it, or write \[ for the bracket itself`}
			}
			rest = rest[class.size:]
		case '\\':
			if len(rest) == 1 {
				return &fault{quote(p) + `: a \ with nothing behind it`, `write \\ for the backslash itself`}
			}
			rest = rest[2:]
		default:
			rest = rest[1:]
		}
	}
	if last && (elements > maxElements || len(p) > maxGlob) {
		return &fault{fmt.Sprintf("%s: a pattern of %d bytes", quote(p), len(p)), fmt.Sprintf("at most %d besides stars; put a * for part of it", maxElements)}
	}
	return nil
}
