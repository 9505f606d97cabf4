package fileevent

// Layout says where each member of struct file_event lies behind the record's header, and how many bytes it has: for tests
// of tools, which hold it against the types in their objects.
func Layout() map[string][2]int {
	return map[string][2]int{
		"duration": {atDuration, 8}, "cgroup_id": {atCgroupID, 8}, "css_set": {atCSSSet, 8}, "ino": {atIno, 8}, "flags": {atFlags, 8},
		"dev": {atDev, 4}, "pid": {atPID, 4}, "tid": {atTID, 4}, "ppid": {atPPID, 4}, "uid": {atUID, 4}, "dirfd": {atDirFD, 4},
		"ret": {atRet, 4}, "marks": {atMarks, 4}, "mode": {atMode, 2}, "how": {atHow, 2}, "path_len": {atPathLen, 2},
		"file_len": {atFileLen, 2}, "base_len": {atBaseLen, 2}, "comm": {atComm, 16}, "pcomm": {atPComm, 16},
	}
}
