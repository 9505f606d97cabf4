package symbol

import (
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxMiniDebug   = 32 << 20 // compressed
	maxMiniContent = 128 << 20
	maxChecksummed = 1 << 30
)

// debugDirs are the roots that separate debug files lie under.
type debugDirs []string

var systemDebugDirs = debugDirs{"/usr/lib/debug"}

// miniDebug returns the symbol table that some distributions keep compressed in the stripped file.
func (img *image) miniDebug() *image {
	packed := img.section(img.sectionNamed(".gnu_debugdata"), maxMiniDebug)
	if packed == nil {
		return nil
	}
	data, err := expandXZ(packed, maxMiniContent)
	if err != nil {
		return nil
	}
	mini, err := openImage(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil
	}
	return mini
}

// find opens the debug file of an image that was mapped under the path: by the build ID, else by the name that the image
// holds. It is taken only if it is made of the same build.
func (d debugDirs) find(img *image, path string) (*image, func()) {
	for _, root := range d {
		debug, f := openDebug(buildIDPath(root, img.buildID))
		if debug != nil && bytes.Equal(debug.buildID, img.buildID) {
			return debug, func() { f.Close() }
		}
		f.Close()
	}
	name, sum, found := img.debugLink()
	if !found || !filepath.IsAbs(path) {
		return nil, nil
	}
	dir := filepath.Dir(path)
	candidates := []string{filepath.Join(dir, ".debug", name), filepath.Join(dir, name)}
	for _, root := range d {
		candidates = append(candidates, filepath.Join(root, dir, name))
	}
	for _, candidate := range candidates {
		debug, f := openDebug(candidate)
		if debug != nil && (img.buildID != nil && bytes.Equal(debug.buildID, img.buildID) || img.buildID == nil && checksum(f) == sum) {
			return debug, func() { f.Close() }
		}
		f.Close()
	}
	return nil, nil
}

// have says whether there may be a debug file of a build.
func (d debugDirs) have(id []byte) bool {
	for _, root := range d {
		if path := buildIDPath(root, id); path != "" {
			if _, err := os.Stat(path); err == nil {
				return true
			}
		}
	}
	return false
}

func buildIDPath(root string, id []byte) string {
	if len(id) < 2 {
		return ""
	}
	text := hex.EncodeToString(id)
	return filepath.Join(root, ".build-id", text[:2], text[2:]+".debug")
}

// debugLink returns the name of the debug file and its checksum.
func (img *image) debugLink() (name string, sum uint32, found bool) {
	data := img.section(img.sectionNamed(".gnu_debuglink"), maxNote)
	name = string(zeroEnded(data))
	at := (len(name) + 4) &^ 3
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") || at+4 > len(data) {
		return "", 0, false
	}
	return name, img.file.ByteOrder.Uint32(data[at:]), true
}

// openDebug returns no image where there is none. The file, which may be nil, is the caller's to close.
func openDebug(path string) (*image, *os.File) {
	if path == "" {
		return nil, nil
	}
	f, info, err := openRegular(path)
	if err != nil {
		return nil, nil
	}
	img, err := openImage(f, info.Size)
	if err != nil {
		return nil, f
	}
	return img, f
}

// checksum returns the sum that .gnu_debuglink is about.
func checksum(f io.ReaderAt) uint32 {
	sum := crc32.NewIEEE()
	if n, err := io.Copy(sum, io.NewSectionReader(f, 0, maxChecksummed+1)); err != nil || n > maxChecksummed {
		return 0
	}
	return sum.Sum32()
}
