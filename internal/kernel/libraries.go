package kernel

import (
	"path/filepath"
	"runtime"
	"slices"
)

// LibraryCache returns the libraries that ld.so's cache names, by name, in a root: the paths are as that root has them. There is
// none where there is no cache, as with musl.
func LibraryCache(root string) map[string]string {
	raw, err := readSmall(filepath.Join(root, "etc/ld.so.cache"), maxLdCacheSize)
	if err != nil {
		return nil
	}
	libraries, err := parseLdCache([]byte(raw), runtime.GOARCH)
	if err != nil {
		return nil
	}
	paths := make(map[string]string, len(libraries))
	for _, l := range slices.Backward(libraries) { // the first of a name counts
		paths[l.name] = l.path
	}
	return paths
}

// LibraryDirs are the folders where libraries are looked for without a cache.
func LibraryDirs() []string { return slices.Clone(libraryDirs) }
