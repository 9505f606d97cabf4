package kernel

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// maxCgroups bounds how many folders are looked at for one cgroup.
const maxCgroups = 200_000

// CgroupPaths says where a cgroup is that has this number: "HIERARCHY:/path" for each hierarchy that has one, parted by
// commas, the hierarchy of cgroup v2 being called "unified". A pattern (only '*' is special) chooses among the
// hierarchies, "" takes all. It is "" for a cgroup that is not there any more.
func CgroupPaths(id uint64, hierarchies string) string { return cgroupPaths("/", id, hierarchies) }

func cgroupPaths(root string, id uint64, hierarchies string) string {
	table, err := readSmall(filepath.Join(root, "proc/self/mountinfo"), 4<<20)
	if err != nil {
		return ""
	}
	var found []string
	seen := map[string]bool{}
	for _, fstype := range []string{"cgroup2", "cgroup"} {
		from := len(found)
		for m := range MountsOf(table, fstype) {
			name := "unified"
			if fstype == "cgroup" {
				name = filepath.Base(m.Point)
			}
			if seen[name] || hierarchies != "" && !newPattern(hierarchies).match(name) {
				continue
			}
			if path, ok := folderWithInode(filepath.Join(root, m.Point), id); ok {
				seen[name] = true
				found = append(found, name+":"+path)
			}
		}
		slices.Sort(found[from:])
	}
	return strings.Join(found, ",")
}

// folderWithInode looks for the folder with that inode number below dir, and returns its path from there.
func folderWithInode(dir string, inode uint64) (path string, ok bool) {
	looked := 0
	_ = filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // what cannot be read is not what is looked for
		}
		if looked++; looked > maxCgroups {
			return fs.SkipAll
		}
		info, err := os.Lstat(at)
		if err != nil {
			return nil
		}
		if st, isStat := info.Sys().(*syscall.Stat_t); isStat && st.Ino == inode {
			path, ok = "/"+strings.TrimPrefix(strings.TrimPrefix(at, dir), "/"), true
			return fs.SkipAll
		}
		return nil
	})
	return path, ok
}
