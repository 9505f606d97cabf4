package object

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// Relocated says what a relocation that failed was about. text is the library's: the kind of question, the type, the way to the
// member, and the number of the type in the object.
//
//	CORERelocation(byte_off, Struct:"task_struct"[0:7:1], local_id=12)
func (o *Object) Relocated(text string) string {
	plain := strings.TrimSuffix(strings.TrimPrefix(text, "CORERelocation("), ")")
	rest, id, ok := strings.Cut(plain, ", local_id=")
	number, err := strconv.ParseUint(id, 10, 32)
	if !ok || err != nil || o.coll.Types == nil {
		return plain
	}
	local, err := o.coll.Types.TypeByID(btf.TypeID(number))
	_, way, found := strings.Cut(rest, "[")
	if err != nil || !found {
		return rest
	}
	way, _, _ = strings.Cut(way, "]")
	steps := strings.Split(way, ":")
	path := ""
	t := bare(local)
	for _, step := range steps[1:] {
		n, err := strconv.Atoi(step)
		if err != nil {
			return rest
		}
		var members []btf.Member
		switch at := t.(type) {
		case *btf.Struct:
			members = at.Members
		case *btf.Union:
			members = at.Members
		case *btf.Enum:
			if n < len(at.Values) {
				return fmt.Sprintf("the value %s of %s", at.Values[n].Name, typeName(local))
			}
			return rest
		case *btf.Array:
			path += "[" + step + "]"
			t = bare(at.Type)
			continue
		}
		if n < 0 || n >= len(members) {
			return rest
		}
		if members[n].Name != "" {
			path += "." + members[n].Name
		}
		t = bare(members[n].Type)
	}
	if path == "" {
		return "the type " + typeName(local)
	}
	return fmt.Sprintf("the member %s of %s", strings.TrimPrefix(path, "."), typeName(local))
}
