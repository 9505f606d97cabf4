package script

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	at := time.Date(2026, 1, 4, 0, 5, 9, 7654321, zone) // a Sunday
	for _, tt := range []struct {
		format string
		nanos  bool
		want   string
	}{
		{"%H:%M:%S", false, "00:05:09"},
		{"%T %D %F %R", false, "00:05:09 01/04/26 2026-01-04 00:05"},
		{"%f %k %l", true, "007654 007654321 007"},
		{"%f|%k|%l|%L", false, "%f| 0|12|%L"},
		{"%I %p %P %r", false, "12 AM am 12:05:09 AM"},
		{"%a %A %b %B %h", false, "Sun Sunday Jan January Jan"},
		{"%c", false, "Sun Jan  4 00:05:09 2026"},
		{"%x %X", false, "01/04/26 00:05:09"},
		{"%C %y %Y %G %g", false, "20 26 2026 2026 26"},
		{"%U %W %V %j %u %w", false, "01 00 01 004 7 0"},
		{"%d %e %m", false, "04  4 01"},
		{"%-d %_d %0e %5d %-j", false, "4  4 04 00004 4"},
		{"%^a %#Z %^B %10a|", false, "SUN CET JANUARY        Sun|"},
		{"%s %z %Z", false, "1767481509 +0100 CET"},
		{"%n%t%%", false, "\n\t%"},
		{"%Ey %Od", false, "26 04"},
		{"%Q %", false, "%Q %"},
		{"%5", false, "%5"},
		{"", false, ""},
	} {
		c := clock{loc: zone, format: tt.format, nanos: tt.nanos}
		if got := string(c.append(nil, at)); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.format, got, tt.want)
		}
	}
}

func TestUsers(t *testing.T) {
	known := parsePasswd("root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nbad\na:x:99999999999:0::/:\nb:x:1000:1::/:\n:::")
	if len(known) != 2 || known[0] != "root" || known[1000] != "b" {
		t.Errorf("%v", known)
	}
	var u users
	if name := u.name(0); name != "root" {
		t.Skipf("user 0 is %q here", name)
	}
}
