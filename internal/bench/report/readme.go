package report

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNoMarkers says that a document has no place for the block.
var ErrNoMarkers = errors.New("no markers for the block")

// ReplaceBlock returns document with what stands between `<!-- NAME -->` and `<!-- /NAME -->` replaced by block.
// It returns ErrNoMarkers when there are none, and another error when they do not make one pair.
func ReplaceBlock(document []byte, name, block string) ([]byte, error) {
	open, shut := []byte("<!-- "+name+" -->"), []byte("<!-- /"+name+" -->")
	opens, shuts := bytes.Count(document, open), bytes.Count(document, shut)
	if opens == 0 && shuts == 0 {
		return nil, ErrNoMarkers
	}
	from, to := bytes.Index(document, open), bytes.Index(document, shut)
	if opens != 1 || shuts != 1 || to < from {
		return nil, fmt.Errorf("want one %s followed by one %s", open, shut)
	}
	var out bytes.Buffer
	out.Write(document[:from+len(open)])
	out.WriteString("\n" + block)
	if block != "" && block[len(block)-1] != '\n' {
		out.WriteByte('\n')
	}
	out.Write(document[to:])
	return out.Bytes(), nil
}

// WriteReadme puts block between the markers of a file. The file is replaced whole or not at all.
func WriteReadme(path, name, block string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	document, err = ReplaceBlock(document, name, block)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".readme-")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name()) // gone already when all went well
	_, err = draft.Write(document)
	err = errors.Join(err, draft.Chmod(info.Mode()), draft.Close())
	if err != nil {
		return err
	}
	return os.Rename(draft.Name(), path)
}
