package guard

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
)

// Hooks that are asked about a name in a directory do not know by which mount it was reached: their records have the
// path from the root of the file system on. mountNames knows where that is mounted.
type mountNames struct {
	table  string // of mounts, as in proc_pid_mountinfo(5)
	points map[uint32][]byte
	shared [][]byte // where file systems are mounted whose files have other devices than the table says
	read   time.Time
}

const (
	largestMountTable = 4 << 20
	mountsLastFor     = time.Second // before a device that is not known is looked for again
)

// of returns where the root of a file system is mounted first, nothing for "/" and for what is not mounted whole. path, from that root on,
// is a file of it.
func (m *mountNames) of(dev uint32, path []byte) []byte {
	point, known := m.points[dev]
	if !known && time.Since(m.read) > mountsLastFor {
		m.read = time.Now()
		if table, err := readCapped(m.table, largestMountTable); err == nil {
			m.points = mountPoints(string(table))
			m.shared = m.shared[:0]
			for mount := range kernel.MountsOf(string(table), "btrfs") {
				if mount.Root == "/" {
					m.shared = append(m.shared, bytes.TrimSuffix([]byte(mount.Point), []byte("/")))
				}
			}
		}
		point, known = m.points[dev]
	}
	if !known && len(m.shared) > 0 {
		return m.among(dev, path)
	}
	return point
}

// among finds the mount by looking which of them has the file, and remembers it for the subvolume.
func (m *mountNames) among(dev uint32, path []byte) []byte {
	for _, point := range m.shared {
		var st unix.Stat_t
		if err := unix.Lstat(string(point)+string(path), &st); err == nil && kernelDev(unix.Major(st.Dev), unix.Minor(st.Dev)) == dev {
			m.points[dev] = point
			return point
		}
	}
	return nil
}

func mountPoints(table string) map[uint32][]byte {
	points := make(map[uint32][]byte)
	for line := range strings.Lines(table) {
		// "36 35 98:0 /root /mount/point ..."
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[3] != "/" {
			continue
		}
		major, minor, ok := deviceOf(fields[2])
		if !ok {
			continue
		}
		dev := kernelDev(major, minor)
		if _, known := points[dev]; !known {
			points[dev] = bytes.TrimSuffix(unescaped(fields[4]), []byte("/"))
		}
	}
	return points
}

// unescaped undoes the three-digit octal escapes that the kernel writes for blanks and backslashes in mount tables.
func unescaped(s string) []byte {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}
