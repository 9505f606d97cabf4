package guard

import (
	"cmp"

	"golang.org/x/sys/unix"
)

// watchMounts watches the table of mounts: what is mounted on a directory changes where paths lead, and inotify does not tell.
// Without that, which only an unusual /proc can lack, changes of mounts need a SIGHUP.
func (w *Watcher) watchMounts() {
	w.mounts, w.wake = -1, -1
	mounts, err := unix.Open(w.env.Proc+"/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(mounts)
		return
	}
	w.mounts, w.wake = mounts, wake
	w.ended.Add(1)
	go w.pollMounts()
}

func (w *Watcher) endMounts() {
	if w.wake >= 0 {
		_, _ = unix.Write(w.wake, []byte{0, 0, 0, 0, 0, 0, 0, 1}) // an eventfd takes it
	}
}

func (w *Watcher) closeMounts() {
	if w.wake >= 0 {
		unix.Close(w.wake)
		unix.Close(w.mounts)
	}
}

// pollMounts looks after each change of mounts whether names that matter lead elsewhere now. Hosts of containers mount all
// the time; most of it is of no concern.
func (w *Watcher) pollMounts() {
	defer w.ended.Done()
	for {
		fds := []unix.PollFd{{Fd: int32(w.mounts), Events: unix.POLLPRI}, {Fd: int32(w.wake), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, -1)
		switch {
		case err == unix.EINTR:
		case err != nil || fds[1].Revents != 0:
			return
		case fds[0].Revents&unix.POLLNVAL != 0 || fds[0].Revents&unix.POLLPRI == 0:
			return // a file that is no table of mounts
		default:
			w.recheck()
		}
	}
}

// recheck tells of names that are not what they were when the rules were armed.
func (w *Watcher) recheck() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.armed == nil || w.closed {
		return
	}
	walker, err := newWalker(&identities{proc: w.env.Proc}, w.env.Root)
	if err != nil {
		return
	}
	defer walker.close()
	for dir, names := range w.armed.WatchFor {
		fd, err := walker.plain(dir)
		if err != nil {
			w.tell(dir)
			continue
		}
		w.compare(walker, fd, dir, names)
		unix.Close(fd)
	}
	w.compareMounts()
}

// compareMounts tells of mounts below trees that are not those that were armed.
func (w *Watcher) compareMounts() {
	if len(w.armed.mounts) == 0 {
		return
	}
	table, err := readMountTable(w.env.Proc)
	if err != nil {
		return
	}
	for _, top := range w.armed.mounts {
		if point, changed := table.changed(top); changed {
			w.tell(cmp.Or(point, "what was mounted below "+top.place.path))
			return
		}
	}
}
