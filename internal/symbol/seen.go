package symbol

// Seen takes note of what a process maps, and looks again if one of the addresses lies in nothing that is known: they can be named
// later then. It reads no symbols.
func (p *Processes) Seen(pid uint32, addrs []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, err := p.observe(pid)
	if err != nil {
		return
	}
	newest := known.newest()
	for _, addr := range addrs {
		if newest.at(addr) == nil {
			p.refresh(known, pid)
			return
		}
	}
}
