package script

// cgroupsMost bounds how many paths of cgroups are kept.
const cgroupsMost = 1 << 14

// cgroupRetry is after how long, in nanoseconds, a cgroup is looked for again that was not found: that takes a walk through
// all of them.
const cgroupRetry = 1e9

// cgroups keeps the paths of cgroups that were asked for: also when they are gone.
type cgroups struct {
	known map[cgroupKey]cgroupFound
	now   uint64
}

// cgroupKey is a cgroup's number and that of a pattern in Formats.
type cgroupKey struct{ id, pattern uint64 }

type cgroupFound struct {
	path  string
	asked uint64
}

func (c *cgroups) path(key cgroupKey, find func() string) string {
	got, known := c.known[key]
	if known && (got.path != "" || c.now-got.asked < cgroupRetry) {
		return got.path
	}
	if c.known == nil || len(c.known) >= cgroupsMost {
		c.known = map[cgroupKey]cgroupFound{}
	}
	got = cgroupFound{find(), c.now}
	c.known[key] = got
	return got.path
}

// cgroupPath is a value of cgroup_path: the cgroup's number and that of the pattern.
func (r *Runner) cgroupPath(b []byte) string {
	key := cgroupKey{word(b, 0), word(b, 8)}
	if key.pattern >= uint64(len(r.p.Formats)) {
		return ""
	}
	return r.cgroups.path(key, func() string { return r.env.CgroupPath(key.id, r.p.Formats[key.pattern]) })
}
