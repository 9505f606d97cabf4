package ir

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// What helpers return when they fail.
const (
	errNoEntry = -2
	errTooBig  = -7
	errFault   = -14
)

// helpers are those that Run knows, by number.
var helpers map[int64]func(e *Env, a []int64) (int64, error)

func init() {
	helpers = map[int64]func(e *Env, a []int64) (int64, error){
		1:   lookUp1,
		2:   update,
		3:   remove,
		5:   func(*Env, []int64) (int64, error) { return 1e9, nil },
		8:   func(*Env, []int64) (int64, error) { return 0, nil },
		14:  func(*Env, []int64) (int64, error) { return 1234<<32 | 1235, nil },
		15:  func(*Env, []int64) (int64, error) { return 0, nil },
		45:  probeReadStr,
		113: probeRead,
		115: probeReadStr,
		130: ringOutput,
		131: func(e *Env, a []int64) (int64, error) { return e.Alloc(make([]byte, a[1])), nil },
		132: ringSubmit,
		133: func(*Env, []int64) (int64, error) { return 0, nil },
		164: forEach,
		181: loop,
	}
}

func (e *Env) fakeMap(handle int64) (*FakeMap, error) {
	if m, ok := e.resolve(handle).(*FakeMap); ok {
		return m, nil
	}
	return nil, errors.New("no map")
}

func (e *Env) mapAndKey(a []int64) (*FakeMap, string, error) {
	m, err := e.fakeMap(a[0])
	if err != nil {
		return nil, "", err
	}
	key, err := e.Bytes(a[1], int64(m.KeySize))
	return m, string(key), err
}

func lookUp1(e *Env, a []int64) (int64, error) {
	m, key, err := e.mapAndKey(a)
	if err != nil {
		return 0, err
	}
	if region, ok := m.find(e, key); ok {
		return int64(region+1) << 32, nil
	}
	return 0, nil
}

func update(e *Env, a []int64) (int64, error) {
	m, key, err := e.mapAndKey(a)
	if err != nil {
		return 0, err
	}
	value, err := e.Bytes(a[2], int64(m.ValueSize))
	if err != nil {
		return 0, err
	}
	region, ok := m.find(e, key)
	switch {
	case ok && a[3] == 1:
		return -17, nil
	case !ok && m.Array:
		return errTooBig, nil
	case !ok && a[3] == 2:
		return errNoEntry, nil
	case !ok && m.MaxEntries > 0 && len(m.values) >= m.MaxEntries:
		return errTooBig, nil
	case !ok:
		region = m.insert(e, key)
	}
	copy(e.regions[region], value)
	return 0, nil
}

func remove(e *Env, a []int64) (int64, error) {
	m, key, err := e.mapAndKey(a)
	if err != nil {
		return 0, err
	}
	if _, ok := m.find(e, key); !ok {
		return errNoEntry, nil
	}
	delete(m.values, key)
	for i, k := range m.order {
		if k == key {
			m.order = append(m.order[:i], m.order[i+1:]...)
			break
		}
	}
	return 0, nil
}

func probeRead(e *Env, a []int64) (int64, error) {
	to, err := e.Bytes(a[0], a[1])
	if err != nil {
		return 0, err
	}
	from, err := e.Bytes(a[2], a[1])
	if err != nil {
		clear(to)
		return errFault, nil // the program is told
	}
	copy(to, from)
	return 0, nil
}

func probeReadStr(e *Env, a []int64) (int64, error) {
	to, err := e.Bytes(a[0], a[1])
	if err != nil || a[1] == 0 {
		return 0, err
	}
	for i := range to {
		c, err := e.Bytes(a[2]+int64(i), 1)
		if err != nil {
			clear(to)
			return errFault, nil // the program is told
		}
		to[i] = c[0]
		if c[0] == 0 {
			return int64(i + 1), nil
		}
	}
	to[len(to)-1] = 0
	return a[1], nil
}

func ringOutput(e *Env, a []int64) (int64, error) {
	data, err := e.Bytes(a[1], a[2])
	e.Records = append(e.Records, bytes.Clone(data))
	return 0, err
}

func ringSubmit(e *Env, a []int64) (int64, error) {
	region := a[0]>>32 - 1
	if region < 0 || region >= int64(len(e.regions)) {
		return 0, errors.New("no record")
	}
	e.Records = append(e.Records, e.regions[region])
	return 0, nil
}

func forEach(e *Env, a []int64) (int64, error) {
	m, err := e.fakeMap(a[0])
	if err != nil {
		return 0, err
	}
	f, ok := e.resolve(a[1]).(*Func)
	if !ok {
		return 0, errors.New("no function")
	}
	if m.Array {
		for i := range max(m.MaxEntries, 1) {
			m.find(e, string(binary.LittleEndian.AppendUint32(nil, uint32(i))))
		}
	}
	n := int64(0)
	for _, key := range append([]string(nil), m.order...) {
		region, ok := m.values[key]
		if !ok {
			continue
		}
		n++
		ret, err := e.call(f, []int64{a[0], e.Alloc([]byte(key)), int64(region+1) << 32, a[2]})
		if err != nil || ret != 0 {
			return n, err
		}
	}
	return n, nil
}

func loop(e *Env, a []int64) (int64, error) {
	f, ok := e.resolve(a[1]).(*Func)
	if !ok {
		return 0, errors.New("no function")
	}
	for i := range a[0] {
		ret, err := e.call(f, []int64{i, a[2]})
		if err != nil || ret != 0 {
			return i + 1, err
		}
	}
	return a[0], nil
}
