package measure

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
)

// Pinned is kernel memory that a process keeps resident by its BPF objects, in bytes.
type Pinned struct {
	Maps    int64 // the memlock of every map it holds, directly or through a program
	Buffers int64 // the perf buffers it has mapped
}

// Total is the sum of all parts, in bytes.
func (p Pinned) Total() int64 { return p.Maps + p.Buffers }

// PinnedMemory adds up what the BPF objects of a process pin. A map whose descriptor is closed but which a program of the
// process still uses counts too; a ring buffer is a map and counts once, though it is mapped. Exact from kernel 6.4 on;
// older ones report an estimate for a map (its size times its entries).
func PinnedMemory(pid int) (Pinned, error) {
	held, err := heldBy(pid)
	if err != nil {
		return Pinned{}, err
	}
	for id := range held.programs {
		if err := held.addMapsOf(ebpf.ProgramID(id)); err != nil {
			return Pinned{}, err
		}
	}
	var sum Pinned
	for _, memlock := range held.maps {
		sum.Maps += memlock
	}
	mapped, err := Mappings(pid)
	if err != nil {
		return Pinned{}, err
	}
	for _, m := range mapped {
		if m.Path == "anon_inode:[perf_event]" {
			sum.Buffers += m.Size
		}
	}
	return sum, nil
}

// held is the BPF objects behind a process's descriptors.
type held struct {
	maps     map[uint32]int64 // map id -> bytes
	programs map[uint32]bool  // program ids, those of links included
}

func heldBy(pid int) (held, error) {
	h := held{maps: map[uint32]int64{}, programs: map[uint32]bool{}}
	dir := fmt.Sprintf("/proc/%d/fdinfo", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return held{}, err
	}
	for _, entry := range entries {
		data, err := os.ReadFile(dir + "/" + entry.Name())
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return held{}, err
		}
		info, err := parseFdinfo(data)
		if err != nil {
			return held{}, fmt.Errorf("%s/%s: %w", dir, entry.Name(), err)
		}
		if info.mapID != 0 {
			h.maps[info.mapID] = info.memlock
		}
		if info.programID != 0 {
			h.programs[info.programID] = true
		}
	}
	return h, nil
}

func (h held) addMapsOf(id ebpf.ProgramID) error {
	program, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return fmt.Errorf("BPF program %d: %w", id, err)
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return fmt.Errorf("BPF program %d: %w", id, err)
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		if _, known := h.maps[uint32(id)]; known {
			continue
		}
		memlock, err := mapMemlock(id)
		if err != nil {
			return fmt.Errorf("BPF map %d: %w", id, err)
		}
		h.maps[uint32(id)] = memlock
	}
	return nil
}

func mapMemlock(id ebpf.MapID) (int64, error) {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	data, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", m.FD()))
	if err != nil {
		return 0, err
	}
	info, err := parseFdinfo(data)
	return info.memlock, err
}

// fdinfo is the part of /proc/PID/fdinfo/FD that tells BPF objects apart. Ids are 0 where there is none.
type fdinfo struct {
	mapID, programID uint32
	memlock          int64 // bytes
}

func parseFdinfo(data []byte) (fdinfo, error) {
	var info fdinfo
	for line := range bytes.Lines(data) {
		key, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimSpace(value)
		var err error
		var n uint64
		switch key {
		case "map_id":
			n, err = strconv.ParseUint(value, 10, 32)
			info.mapID = uint32(n)
		case "prog_id":
			n, err = strconv.ParseUint(value, 10, 32)
			info.programID = uint32(n)
		case "memlock":
			n, err = strconv.ParseUint(value, 10, 63)
			info.memlock = int64(n)
		}
		if err != nil {
			return fdinfo{}, fmt.Errorf("%s: want a number, got %q", key, value)
		}
	}
	return info, nil
}
