package target

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want process
		ok   bool
	}{
		{"12 (sh) S 1 12 12 0\n", process{pid: 12, parent: 1}, true},
		{"12 (a) Z 9 (b)) S 7 1\n", process{pid: 12, parent: 7}, true},
		{"12 (x\n) R 9) R 3 1", process{pid: 12, parent: 3}, true},
		{"12 (sh) Z 1 12", process{pid: 12, parent: 1, ended: true}, true},
		{"12 (sh) X 1", process{pid: 12, parent: 1, ended: true}, true},
		{"12 (sh) S", process{}, false},
		{"12 (sh) S x", process{}, false},
		{"x (sh) S 1", process{}, false},
		{"(sh) S 1", process{}, false},
		{"12 )sh( S 1", process{}, false},
		{"", process{}, false},
	} {
		got, ok := parseStat([]byte(tc.in))
		if got != tc.want || ok != tc.ok {
			t.Errorf("%q: %+v %v", tc.in, got, ok)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a) Z 9 (b)) S 7 1\n"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, stat []byte) {
		if p, ok := parseStat(stat); !ok && p != (process{}) {
			t.Errorf("%+v from a line that is none", p)
		}
	})
}

func TestDescendants(t *testing.T) {
	table := []process{{pid: 1}, {pid: 5, parent: 4}, {pid: 4, parent: 3}, {pid: 3, parent: 1}, {pid: 6, parent: 3, ended: true},
		{pid: 7, parent: 6}, {pid: 8, parent: 1}, {pid: 9, parent: 9}}
	for _, tc := range []struct {
		roots map[uint32]bool
		want  []uint32
	}{
		{map[uint32]bool{3: true}, []uint32{4, 5}},
		{map[uint32]bool{3: true, 4: true}, []uint32{5}},
		{map[uint32]bool{8: true}, nil},
		{map[uint32]bool{9: true, 100: true}, nil},
		{nil, nil},
	} {
		if got := descendants(table, tc.roots); !slices.Equal(got, tc.want) {
			t.Errorf("%v: %v, want %v", tc.roots, got, tc.want)
		}
	}
}

// A process that forks just before it is entered has its child found by the next look; one that ended leaves the tree.
func TestReseed(t *testing.T) {
	h := fixture(t, map[string]string{"proc/meminfo": ""})
	set := func(pid, parent int, state string) {
		dir := filepath.Join(h.root, "proc", fmt.Sprint(pid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "stat"), fmt.Appendf(nil, "%d (x) %s %d 0", pid, state, parent), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set(1, 0, "S")
	set(10, 1, "S")
	set(11, 10, "S")
	set(20, 1, "Z") // a root that ended before the probes were on
	set(30, 1, "S")

	tree := map[uint32]bool{10: true, 20: true}
	put := func(pid uint32) (bool, error) {
		switch pid {
		case 11:
			if !tree[11] {
				set(12, 11, "S") // unseen by the probes: 11 was not entered yet
				set(14, 11, "S")
			}
		case 12:
			set(13, 1, "S")
			set(12, 11, "Z") // ended, perhaps before it was entered
		}
		added := !tree[pid]
		tree[pid] = true
		return added, nil
	}
	drop := func(pid uint32) error { delete(tree, pid); return nil }
	alive, err := (&Target{host: h, roots: []uint32{10, 20}}).Reseed(put, drop)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[uint32]bool{10: true, 11: true, 14: true}, tree); diff != "" || alive != 3 {
		t.Errorf("%d alive\n%s", alive, diff)
	}

	boom := errors.New("boom")
	if _, err := h.reseed([]uint32{10}, func(uint32) (bool, error) { return false, boom }, drop); !errors.Is(err, boom) {
		t.Errorf("put's error: %v", err)
	}
	if _, err := h.reseed([]uint32{20}, put, func(uint32) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("drop's error: %v", err)
	}
	next := 100
	_, err = h.reseed([]uint32{10}, func(pid uint32) (bool, error) { next++; set(next, int(pid), "S"); return true, nil }, drop)
	if err == nil {
		t.Error("no error from a tree that grows for ever")
	}
	if alive, err := (&Target{host: h}).Reseed(nil, nil); alive != 0 || err != nil {
		t.Errorf("without --tree: %d, %v", alive, err)
	}
}

func TestReseedLive(t *testing.T) {
	child := exec.Command("sh", "-c", "sleep 1000 & echo; wait")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Process.Kill(); child.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	var found []uint32
	put := func(pid uint32) (bool, error) {
		added := !slices.Contains(found, pid)
		if added {
			found = append(found, pid)
		}
		return added, nil
	}
	alive, err := live.reseed([]uint32{uint32(child.Process.Pid)}, put, func(uint32) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range found {
		if p, err := os.FindProcess(int(pid)); err == nil {
			t.Cleanup(func() { p.Kill() })
		}
	}
	if len(found) != 1 || alive != 2 {
		t.Errorf("found %v, %d alive; want the one sleep, and 2", found, alive)
	}
}
