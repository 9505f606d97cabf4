package symbol

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxOpenMaps is how many perf maps are kept open, to be read when a name is asked for; of others the name of the moment
// holds.
const maxOpenMaps = 128

// perfMap is what a JIT tells of its code in /tmp/perf-PID.map.
type perfMap struct {
	open      *os.File
	path      string
	functions *table
	size      int64 // when it was read
	read      time.Time
	cost      time.Duration
}

// jits counts the open perf maps.
type jits struct{ open int }

// find opens the map as the process sees it: in its own root, under the process ID that it has there. What another user
// could have put there is not taken.
func (js *jits) find(j *perfMap, pid uint32) {
	if j.open != nil {
		return
	}
	own, user, err := readStatus(pid)
	if err != nil {
		return
	}
	path := fmt.Sprintf("/tmp/perf-%d.map", own)
	f, info, err := openInside(fmt.Sprintf("/proc/%d/root", pid), path)
	if err != nil {
		return
	}
	if info.Uid != user && info.Uid != 0 {
		f.Close()
		return
	}
	js.open++
	j.open, j.path = f, path
	if js.open > maxOpenMaps {
		j.grown()
		js.close(j)
	}
}

func (js *jits) frame(j *perfMap, addr uint64) (Frame, bool) {
	frame, found := j.functions.frame(addr)
	if !found && j.grown() {
		frame, found = j.functions.frame(addr)
	}
	if found {
		frame.Module = j.path
	}
	return frame, found
}

// grown reads the map again if there is more in it.
func (j *perfMap) grown() bool {
	if j.open == nil {
		return false
	}
	info, err := j.open.Stat()
	if err != nil || info.Size() == j.size || time.Since(j.read) < rereadShare*j.cost {
		return false
	}
	start := time.Now()
	j.size = info.Size()
	j.functions = readPerfMap(io.NewSectionReader(j.open, 0, j.size))
	j.read, j.cost = time.Now(), time.Since(start)
	return true
}

func (js *jits) close(j *perfMap) {
	if j.open != nil {
		j.open.Close()
		j.open = nil
		js.open--
	}
}

// readStatus returns a process's ID in its own namespace and its effective user.
func readStatus(pid uint32) (own, user uint32, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	own, user = pid, ^uint32(0)
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch {
		case key == "NStgid" && len(fields) > 0:
			if n, err := strconv.ParseUint(fields[len(fields)-1], 10, 32); err == nil {
				own = uint32(n)
			}
		case key == "Uid" && len(fields) == 4:
			if n, err := strconv.ParseUint(fields[1], 10, 32); err == nil {
				user = uint32(n)
			}
		}
	}
	return own, user, nil
}
