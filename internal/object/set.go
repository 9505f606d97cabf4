package object

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// Set gives a global variable its value before the programs are loaded. text is NAME=VALUE.
//
// What VALUE may be is said by the variable's type: a number (decimal, 0x, 0b, 0o, a character in quotes, true and false), the
// name of an enum's value, text for arrays of char, numbers parted by commas for other arrays, and 0x with two digits for each
// byte for whatever else there is.
func (o *Object) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return fmt.Errorf("--set %q: a variable and its value are written NAME=VALUE", text)
	}
	v := o.coll.Variables[name]
	if v == nil {
		return fmt.Errorf("--set %s: there is no global variable of that name%s", name, meant(name, slices.Sorted(maps.Keys(o.coll.Variables))))
	}
	var t btf.Type
	if v.Type != nil {
		t = v.Type.Type
	}
	into := make([]byte, len(v.Value))
	if err := put(into, t, value); err != nil {
		return fmt.Errorf("--set %s=%s: %w", name, value, err)
	}
	v.Value = into
	return nil
}

// put writes a value of that type. Without a type what fits a number of that size is one.
func put(into []byte, t btf.Type, text string) error {
	if digits, ok := strings.CutPrefix(text, "0x"); ok && !isNumber(t) && t != nil {
		return putHex(into, digits)
	}
	switch t := bare(t).(type) {
	case nil:
		if n := len(into); n != 1 && n != 2 && n != 4 && n != 8 {
			return putHex(into, strings.TrimPrefix(text, "0x"))
		}
		return putNumber(into, text, false, true)
	case *btf.Int:
		if t.Encoding == btf.Bool {
			return putBool(into, text)
		}
		return putNumber(into, text, t.Encoding == btf.Signed || t.Encoding == btf.Char, false)
	case *btf.Enum:
		for _, v := range t.Values {
			if v.Name == text {
				return putBits(into, v.Value)
			}
		}
		if err := putNumber(into, text, t.Signed, true); err != nil {
			var names []string
			for _, v := range t.Values {
				names = append(names, v.Name)
			}
			return fmt.Errorf("it is neither a number nor a value of enum %s%s", t.Name, meant(text, names))
		}
		return nil
	case *btf.Float:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return errors.New("it is no number")
		}
		if len(into) == 4 {
			return putBits(into, uint64(math.Float32bits(float32(f))))
		}
		return putBits(into, math.Float64bits(f))
	case *btf.Array:
		return putArray(into, t, text)
	case *btf.Pointer:
		return errors.New("the variable is a pointer, which means nothing outside of the kernel")
	default:
		return fmt.Errorf("the variable is of type %v; its %d bytes can be given as 0x and two digits for each", t, len(into))
	}
}

// bare is a type without its typedefs and qualifiers; nil stays nil.
func bare(t btf.Type) btf.Type {
	if t == nil {
		return nil
	}
	return btf.UnderlyingType(t)
}

func isNumber(t btf.Type) bool {
	switch bare(t).(type) {
	case *btf.Int, *btf.Enum, *btf.Float:
		return true
	}
	return false
}

func putHex(into []byte, digits string) error {
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(into) {
		return fmt.Errorf("the variable has %d bytes: give 0x and %d digits", len(into), 2*len(into))
	}
	copy(into, b)
	return nil
}

func putBool(into []byte, text string) error {
	switch text {
	case "true", "1", "y":
		return putBits(into, 1)
	case "false", "0", "n":
		return putBits(into, 0)
	}
	return errors.New("the variable is a bool: true or false")
}

// putNumber writes an integer that must fit. either says that it may be taken for signed and unsigned.
func putNumber(into []byte, text string, signed, either bool) error {
	if len(text) == 3 && text[0] == '\'' && text[2] == '\'' {
		return putBits(into, uint64(text[1]))
	}
	switch text {
	case "true":
		text = "1"
	case "false":
		text = "0"
	}
	bits := 8 * len(into)
	if bits == 0 || bits > 64 {
		return fmt.Errorf("the variable has %d bytes, more than a number that can be set", len(into))
	}
	u, uerr := strconv.ParseUint(text, 0, 64)
	i, ierr := strconv.ParseInt(text, 0, 64)
	if errors.Is(uerr, strconv.ErrSyntax) && errors.Is(ierr, strconv.ErrSyntax) {
		return errors.New("it is no number")
	}
	top := uint64(1)<<(bits-1) - 1
	all := top<<1 | 1
	fitsUnsigned := uerr == nil && u <= all
	fitsSigned := ierr == nil && i <= int64(top) && i >= -int64(top)-1
	// A mask may be written for a signed variable, as in C.
	hexed := strings.HasPrefix(text, "0x")
	switch {
	case fitsUnsigned && (!signed || either || hexed):
		return putBits(into, u)
	case fitsSigned && (signed || either):
		return putBits(into, uint64(i))
	case signed && !either:
		return fmt.Errorf("the variable has %d bits with a sign: from %d to %d", bits, -int64(top)-1, top)
	}
	return fmt.Errorf("the variable has %d bits without a sign: from 0 to %d", bits, all)
}

// putBits writes the low bytes of a number.
func putBits(into []byte, n uint64) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	clear(into)
	copy(into, b[:])
	return nil
}

func putArray(into []byte, t *btf.Array, text string) error {
	size, err := btf.Sizeof(t.Type)
	if err != nil || size == 0 {
		return errors.New("the variable is an array of things without a size")
	}
	if isChar(t.Type) {
		if len(text) > len(into) {
			return fmt.Errorf("it has %d bytes, and the variable has room for %d", len(text), len(into))
		}
		clear(into)
		copy(into, text)
		return nil
	}
	words := strings.Split(text, ",")
	if len(words)*size > len(into) {
		return fmt.Errorf("%d values, and the variable has room for %d", len(words), len(into)/size)
	}
	for i, w := range words {
		if err := put(into[i*size:(i+1)*size], t.Type, strings.TrimSpace(w)); err != nil {
			return fmt.Errorf("value %d: %w", i+1, err)
		}
	}
	return nil
}

// isChar says whether an array of that is text.
func isChar(t btf.Type) bool {
	i, ok := bare(t).(*btf.Int)
	return ok && i.Size == 1 && (i.Encoding == btf.Char || i.Name == "char")
}

// Variable is a global variable, for those who list them.
type Variable struct {
	Name, Section, Type, Value string
	Size                       uint32
}

// Variables are the global variables of the file, sorted by name.
func (o *Object) Variables() []Variable {
	var list []Variable
	for _, name := range slices.Sorted(maps.Keys(o.coll.Variables)) {
		v := o.coll.Variables[name]
		one := Variable{Name: name, Section: v.SectionName, Size: uint32(len(v.Value)), Type: fmt.Sprintf("%d bytes", len(v.Value))}
		var t btf.Type
		if v.Type != nil {
			t = v.Type.Type
			one.Type = typeName(t)
		}
		one.Value = string(appendText(nil, t, v.Value, 0))
		list = append(list, one)
	}
	return list
}
