package script

import (
	"os"
	"strconv"
	"strings"
)

// passwdMost bounds how much of /etc/passwd is read.
const passwdMost = 16 << 20

// users names users.
type users struct {
	find  func(uint32) (string, bool)
	known map[uint32]string
}

// name is "" for a user that has none.
func (u *users) name(uid uint32) string {
	if u.find != nil {
		name, _ := u.find(uid)
		return name
	}
	if u.known == nil {
		text, err := os.ReadFile("/etc/passwd")
		if err != nil || len(text) > passwdMost {
			text = nil // nobody has a name
		}
		u.known = parsePasswd(string(text))
	}
	return u.known[uid]
}

// parsePasswd reads passwd(5); the first of several names counts.
func parsePasswd(text string) map[uint32]string {
	known := map[uint32]string{}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(line, ":", 4)
		if len(parts) < 4 {
			continue
		}
		uid, err := strconv.ParseUint(parts[2], 10, 32)
		if _, have := known[uint32(uid)]; err == nil && !have {
			known[uint32(uid)] = parts[0]
		}
	}
	return known
}
