package target

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// MapTree is the map of followed processes, for Reseed's put and drop.
const MapTree = mapTree

// Cgroups tells the cgroup path and the container of processes that were just seen, many of which have ended by then.
//
// What one process says is true of all that share its cgroups: on a host with cgroup v2 alone those of the same cgroup
// id, and where there are v1 hierarchies those with the same css_set, the kernel's own object for one membership in all
// of them. An id is never used twice; the address of a css_set may be, so what was learnt by it is asked anew after a
// while, as long as there is a living process to ask.
type Cgroups struct {
	root  string
	whole bool        // cgroup v2 says everything: no v1 hierarchies
	mount cgroupMount // of cgroup v2, where that says everything
	known map[uint64]membership
	buf   []byte
	now   func() time.Time
}

type membership struct {
	path, container []byte
	learnt          time.Time
}

const (
	// maxMemberships bounds what is kept of cgroups that come and go; past it the table starts anew.
	maxMemberships = 4096
	// cssSetTrust is how long a css_set's address stands for what it last stood for.
	cssSetTrust = time.Second
)

// NewCgroups looks at the running host.
func NewCgroups() *Cgroups { return newCgroups("/") }

func newCgroups(root string) *Cgroups {
	c := &Cgroups{root: root, known: make(map[uint64]membership), buf: make([]byte, 16<<10), now: time.Now}
	own := c.read("self")
	c.whole = bytes.Count(own, []byte{'\n'}) == 1 && bytes.HasPrefix(own, []byte("0::"))
	if c.whole && root == "/" {
		c.mount, _ = live.cgroup2() // without a mount, only living processes tell
	}
	return c
}

// Of returns the path of a process's cgroup and the id of its container; nil where not known (the process has ended and
// nothing was learnt of its cgroups before) or where it is in none. The slices stay valid.
func (c *Cgroups) Of(pid uint32, cgroupID, cssSet uint64) (path, container []byte) {
	key := cssSet
	if c.whole {
		key = cgroupID
	}
	known, ok := c.known[key]
	now := c.now()
	if ok && (c.whole || now.Sub(known.learnt) < cssSetTrust) {
		return known.path, known.container
	}
	text := c.read(strconv.FormatUint(uint64(pid), 10))
	if len(text) == 0 {
		// The process has ended; where the cgroup has not, it can be asked for by its id.
		path := c.mount.cgroupByID(cgroupID)
		if path == "" {
			return known.path, known.container
		}
		text = []byte("0::" + path + "\n")
	}
	m := membership{path: []byte(CgroupPath(text)), learnt: now}
	if id, _ := ContainerOf(text); id != "" {
		m.container = []byte(id)
	}
	if len(c.known) >= maxMemberships {
		clear(c.known)
	}
	c.known[key] = m
	return m.path, m.container
}

func (c *Cgroups) read(pid string) []byte {
	f, err := os.Open(c.root + "proc/" + pid + "/cgroup")
	if err != nil {
		return nil
	}
	defer f.Close()
	n, _ := f.Read(c.buf) // the kernel gives what fits in one read
	return c.buf[:n]
}
