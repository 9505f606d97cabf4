package symbol

import (
	"slices"
	"time"
)

// A process is looked at again when it has lived three times as long since it was first seen: its loader has mapped the libraries
// by then, or it has loaded more.
const (
	firstRefresh = 2 * time.Millisecond
	lastRefresh  = 20 * time.Second
	maxRefreshed = 64 // processes at a time
)

// Refresh looks again at processes that were observed and live, where it is time: what they have mapped or executed since. It
// returns when to call it next; it costs nothing where no process is known.
func (p *Processes) Refresh() (next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	var due []uint32
	next = lastRefresh
	for pid, known := range p.known {
		switch {
		case known.ended || known.due.IsZero():
		case known.due.After(now):
			next = min(next, known.due.Sub(now))
		default:
			due = append(due, pid)
		}
	}
	if len(due) > maxRefreshed { // those that wait longest first
		slices.SortFunc(due, func(x, y uint32) int { return order(p.known[x].due.Before(p.known[y].due)) })
		due, next = due[:maxRefreshed], firstRefresh
	}
	for _, pid := range due {
		known := p.known[pid]
		known.pause = min(3*known.pause, lastRefresh)
		known.due = now.Add(known.pause)
		next = min(next, known.pause)
		p.refresh(known, pid)
	}
	return max(next, firstRefresh)
}

// soon says that a process has just begun to run a program.
func (known *process) soon() {
	known.pause = firstRefresh
	known.due = time.Now().Add(known.pause)
}
