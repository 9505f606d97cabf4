package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sonde/internal/compile/syntax"
)

// maxScript is the largest script in bytes.
const maxScript = 16 << 20

// scriptSource is a script as it was given, with what stood behind it on the command line.
type scriptSource struct {
	name string
	text []byte
	args []string
}

// stdinName is how scripts that come in no file are called in messages.
const stdinName = "stdin"

// source finds the script: -e PROGRAM, a FILE, or - for standard input.
func (x *scriptFlags) source(in io.Reader, args []string) (scriptSource, error) {
	if x.expr != "" {
		return scriptSource{name: stdinName, text: []byte(x.expr), args: args}, nil
	}
	if len(args) == 0 {
		return scriptSource{}, usage("no script: give a FILE, -e PROGRAM, or - for standard input")
	}
	src := scriptSource{name: args[0], args: args[1:]}
	if src.name == "-" {
		src.name = stdinName
		text, err := readCapped(in)
		if err != nil {
			return src, fmt.Errorf("reading the script from standard input: %w", err)
		}
		src.text = text
		return src, nil
	}
	f, err := os.Open(src.name)
	if errors.Is(err, fs.ErrNotExist) && looksLikeProgram(src.name) {
		return src, usage("there is no file %q; a program is given by -e", src.name)
	}
	if err != nil {
		return src, fmt.Errorf("%q: %w", src.name, cause(err))
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return src, fmt.Errorf("%q is a directory", src.name)
	}
	if src.text, err = readCapped(f); err != nil {
		return src, fmt.Errorf("%q: %w", src.name, cause(err))
	}
	return src, nil
}

func looksLikeProgram(s string) bool { return strings.ContainsAny(s, "{} ") }

func readCapped(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxScript+1))
	if err == nil && len(text) > maxScript {
		err = fmt.Errorf("it is longer than %d MB", maxScript>>20)
	}
	return text, err
}

// includeSources reads the C files of --include, looked for in the directories of -I.
func (x *scriptFlags) includeSources() ([]*syntax.Source, error) {
	var sources []*syntax.Source
	for _, name := range x.includes {
		var text []byte
		err := error(fs.ErrNotExist)
		for _, dir := range append([]string{""}, x.includeDirs...) {
			path := name
			if dir != "" && !filepath.IsAbs(name) {
				path = filepath.Join(dir, name)
			}
			if text, err = os.ReadFile(path); err == nil {
				sources = append(sources, syntax.NewSource(path, text))
				break
			}
		}
		if err != nil {
			return nil, usage("--include %q: %w", name, cause(err))
		}
	}
	return sources, nil
}
