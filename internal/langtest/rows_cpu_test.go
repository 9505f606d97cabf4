package langtest

// cpuRows run their begin programs on two CPUs.
var cpuRows = []row{
	is(`@a = count()`, "", maps("@a: 2"), onCPUs(2)),
	is(`@a = count(); print(@a)`, "@a: 1\n@a: 2", maps("@a: 2"), onCPUs(2)),
	is(`@a = count(); $x = @a * 10; print($x)`, "10\n20", maps("@a: 2"), onCPUs(2)),
	is(`@a[1] = count(); @a[2] = count(); @a[1] = count()`, "", maps("@a[2]: 2\n@a[1]: 4"), onCPUs(2)),
	is(`@a[1] = count(); print(@a[1]); for $kv : @a { print($kv.1) }`, "1\n1\n2\n2", maps("@a[1]: 2"), onCPUs(2)),
	is(`@n++; @a = sum(@n * 5)`, "", maps("@a: 15\n@n: 2"), onCPUs(2)),
	is(`@n++; @a = sum(@n == 1 ? -7 : 3); print(@a)`, "@a: -7\n@a: -4", maps("@a: -4\n@n: 2"), onCPUs(2)),
	is(`@n++; @a = min(@n == 1 ? 5 : 3); @b = min(@n == 1 ? 3 : 5); print(@a + @b)`, "8\n6", maps("@a: 3\n@b: 3\n@n: 2"), onCPUs(2)),
	is(`@n++; @a = min(@n == 1 ? -5 : 3); @b = max(@n == 1 ? -5 : -3)`, "", maps("@a: -5\n@b: -3\n@n: 2"), onCPUs(2)),
	is(`@n++; @a = max((uint64)@n << 63); @k[1] = max((uint64)@n)`, "", maps("@a: 9223372036854775808\n@k[1]: 2\n@n: 2"), onCPUs(2)),
	is(`@n++; @a = min((uint64)@n << 62)`, "", maps("@a: 4611686018427387904\n@n: 2"), onCPUs(2)),
	is(`@n++; if (@n == 2) { @a = min(7); @b = max(-7) }`, "", maps("@a: 7\n@b: -7\n@n: 2"), onCPUs(2)),
	is(`@n++; @a = avg(@n * 10); @k["x"] = avg(@n * -10); print(@a + 0)`, "10\n15", maps("@a: 15\n@k[x]: -15\n@n: 2"), onCPUs(2)),
	is(`@n++; @a = stats(@n * 10); @k["x"] = stats(@n)`, "",
		maps("@a: { .count = 2, .average = 15, .total = 30 }\n@k[x]: { .count = 2, .average = 1, .total = 3 }\n@n: 2"), onCPUs(2)),
	is(`@n++; @a = hist(@n); @k[1] = hist(5)`, "", onCPUs(2), maps("@a:\n"+
		"[1]                    1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"+
		"[2, 4)                 1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n\n"+
		"@k[1]:\n"+
		"[4, 8)                 2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n\n@n: 2")),
	is(`@n++; @a = lhist(@n, 0, 10, 1)`, "", onCPUs(2), maps("@a:\n"+
		"[1]                    1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"+
		"[2]                    1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n\n@n: 2")),
	is(`@a = count(); @n++; if (@n == 2) { clear(@a) }`, "", maps("@n: 2"), onCPUs(2)),
	is(`@a[1] = count(); @n++; if (@n == 2) { delete(@a[1]); @a[1] = count() }`, "", maps("@a[1]: 1\n@n: 2"), onCPUs(2)),
	is(`@a = count(); @n++; if (@n == 2) { zero(@a) }`, "", maps("@a: 0\n@n: 2"), onCPUs(2)),
	is(`@a = sum(5); @b[1] = sum(6); @n++; if (@n == 2) { zero(@a); zero(@b) }`, "", maps("@a: 0\n@b[1]: 0\n@n: 2"), onCPUs(2)),
	is(`@c[cpu] = 1; @a = count(); printf("%d %d\n", len(@c), @a)`, "1 1\n2 2", onCPUs(2), setting("print_maps_on_exit", "0")),
	is(`@a = count(); zero(@a)`, "", maps("@a: 0"), onCPUs(2)),
	is(`let @a = percpuhash(8); begin { @a[1] = sum(5); print(@a[1]) }`, "5\n10", maps("@a[1]: 10"), onCPUs(2)),
	is(`let @a = percpulruhash(8); begin { @a[1] = count() }`, "", maps("@a[1]: 2"), onCPUs(2)),
	wrong(`let @a = percpuhash(8); begin { @a[1] = 5 }`, "@a holds int8: only what is added up"),
	is(`@a = 5; @a += 1; print(@a)`, "@a: 6\n@a: 6", maps("@a: 6"), onCPUs(2)),
	is(`@a++; @b["x"]++; print(@a + @b["x"])`, "2\n4", maps("@a: 2\n@b[x]: 2"), onCPUs(2)),
}
