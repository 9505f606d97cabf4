package script

import (
	ejson "encoding/json"
	"io"
	"strings"
	"testing"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
	"sonde/internal/prog"
	"sonde/internal/stream"
)

// everything is a program with a site for each kind and each type of value.
func everything() *compile.Program {
	p := &compile.Program{Formats: formats, Config: config()}
	str := types.StringOf(16)
	for _, row := range valueRows {
		p.Sites = append(p.Sites, values(compile.SitePrintValue, "", row.t), values(compile.SitePrintf, "%20s|", row.t))
	}
	for kind := range compile.SiteDebug + 1 {
		switch kind {
		case compile.SitePrintValue, compile.SiteCat, compile.SiteSystem:
			continue
		case compile.SitePrintMap, compile.SiteClear, compile.SiteZero:
			for _, m := range []string{"@hash", "@cells", "@none"} {
				s := values(kind, "", types.TInt64, types.TInt64)
				s.Map = m
				p.Sites = append(p.Sites, s)
			}
		case compile.SiteHelperError:
			p.Sites = append(p.Sites, values(kind, "map_update_elem", types.TUint32, types.TInt32))
		case compile.SiteExit, compile.SiteNewProcess:
			p.Sites = append(p.Sites, values(kind, "", types.TUint64))
		default:
			p.Sites = append(p.Sites, values(kind, "%s %-5s %s", str, types.TInt64, str))
		}
	}
	p.Sites = append(p.Sites, values(compile.SitePrintf, "%d %c %r %rx %rh %gr %p", types.TInt64, types.TInt8, tBuf, tBuf, str, types.TUint32, tUSym))
	cellsMap, _ := cellMap("@cells", tHist, nil, nil)
	p.Maps = []compile.Map{cellsMap, {Name: "@hash", BPF: "at_x", Key: tNest, Value: tStats, Storage: compile.StorePerCPUHash}}
	return p
}

// Whatever the bytes of a record, and of the maps it asks for: no panic, and JSON is JSON.
func FuzzRecord(f *testing.F) {
	p := everything()
	for i := range p.Sites {
		f.Add(uint16(i), make([]byte, max(p.Sites[i].Size-stream.HeaderSize, 0)))
	}
	for i, row := range valueRows {
		f.Add(uint16(2*i), row.b)
		f.Add(uint16(2*i+1), append(row.b, row.b...))
	}
	f.Add(uint16(60000), []byte("x"))
	var rigs [2]*rig
	f.Fuzz(func(t *testing.T, site uint16, body []byte) {
		for i, edit := range []func(*Env){nil, json} {
			if rigs[i] == nil {
				rigs[i] = newRig(t, p, edit)
			}
			g := rigs[i]
			g.take()
			g.AtEnd()
			g.maps.memory = make([]byte, 8+2*1024)
			copy(g.maps.memory, body)
			g.maps.tables["at_x"] = &stream.Table{KeySize: tNest.Size, ValueSize: 16, CPUs: 2}
			if n := len(body) / (tNest.Size + 32); n > 0 {
				x := g.maps.tables["at_x"]
				x.N, x.Keys, x.Values = n, body[:n*tNest.Size], body[n*tNest.Size:][:n*32]
			}
			if err := g.Record(prog.Record{Type: site, Body: body}); err != nil && err != stream.ErrStop {
				t.Fatal(err)
			}
			if err := g.PrintMaps(); err != nil {
				t.Fatal(err)
			}
			if edit == nil {
				continue
			}
			out, _ := g.take()
			for d := ejson.NewDecoder(strings.NewReader(out)); ; {
				var v any
				if err := d.Decode(&v); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("no JSON: %v: %q", err, out)
				}
			}
		}
	})
}
