package target

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// Cgroups tells the cgroup path and the container of processes that were just seen. On a host with cgroup v2 alone,
// what one process says is true of all in the same cgroup, and kept; with v1 hierarchies each process is asked.
type Cgroups struct {
	root  string
	whole bool // cgroup v2 says everything: no v1 hierarchies
	known map[uint64]membership
	buf   []byte
	last  membership
	text  []byte
}

type membership struct{ path, container []byte }

// maxMemberships bounds what is kept of cgroups that come and go; past it the table starts anew.
const maxMemberships = 4096

// NewCgroups looks at the running host.
func NewCgroups() *Cgroups { return newCgroups("") }

func newCgroups(root string) *Cgroups {
	c := &Cgroups{root: root, known: make(map[uint64]membership), buf: make([]byte, 16<<10)}
	own, err := os.ReadFile(root + "/proc/self/cgroup")
	c.whole = err == nil && bytes.Count(own, []byte{'\n'}) == 1 && bytes.HasPrefix(own, []byte("0::"))
	return c
}

// Of returns the path of a process's cgroup and the id of its container, nil where not known: the process has ended and
// its cgroup was not seen before, or it is in no container. cgroupID is the id of its v2 cgroup. The slices stay valid.
func (c *Cgroups) Of(pid uint32, cgroupID uint64) (path, container []byte) {
	if c.whole {
		if m, ok := c.known[cgroupID]; ok {
			return m.path, m.container
		}
	}
	text := c.read(pid)
	if len(text) == 0 {
		return nil, nil
	}
	if !c.whole && bytes.Equal(text, c.text) {
		return c.last.path, c.last.container
	}
	m := membership{path: []byte(CgroupPath(text))}
	if id, _ := ContainerOf(text); id != "" {
		m.container = []byte(id)
	}
	if c.whole {
		if len(c.known) >= maxMemberships {
			clear(c.known)
		}
		c.known[cgroupID] = m
	} else {
		c.text, c.last = append(c.text[:0], text...), m
	}
	return m.path, m.container
}

func (c *Cgroups) read(pid uint32) []byte {
	var name strings.Builder
	name.WriteString(c.root)
	name.WriteString("/proc/")
	name.WriteString(strconv.FormatUint(uint64(pid), 10))
	name.WriteString("/cgroup")
	f, err := os.Open(name.String())
	if err != nil {
		return nil
	}
	defer f.Close()
	n, _ := f.Read(c.buf) // one read: seq_file gives it whole or cut at the buffer's end
	return c.buf[:n]
}

// MapTree is the map of followed processes, for Reseed's put and drop.
const MapTree = mapTree
