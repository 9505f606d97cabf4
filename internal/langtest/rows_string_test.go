package langtest

var stringRows = []row{
	// string literals
	is(`print("abc"); print(""); print("a b"); print("tab\there"); print("nl\nhere"); print("quote\"q"); print("back\\slash")`, "abc\n\na b\ntab\there\nnl\nhere\nquote\"q\nback\\slash"),
	is(`print("oct\101\60"); print("hex\x41\x7a"); print("cr\rx")`, "octA0\nhexAz\ncr\rx"),
	wrong(`print("\q")`, `unknown escape \q in a string`),
	wrong(`print("\400")`, `octal escape \400 is larger than one byte`),
	is(`print("a" + "b"); print("foo" + 1); print("foo" + 3); print("foo" + 4)`, "ab\noo\n\n"),
	is(`print("caf\xc3\xa9")`, "café"),
	is(`print("ünïcode")`, "ünïcode"),
	is(`printf("%s|%s\n", "a", "")`, "a|"),
	is(`print("nul\x00behind")`, "nul"),

	// string comparison
	is(`print("a" == "a"); print("a" == "b"); print("a" != "b"); print("" == ""); print("a" == ""); print("abc" == "abcd")`, "true\nfalse\ntrue\ntrue\nfalse\nfalse"),
	is(`$s = "hello"; print($s == "hello"); print($s == "hell"); print($s == "hello!"); print($s != "hello"); print("hello" == $s)`, "true\nfalse\nfalse\nfalse\ntrue"),
	is(`$s = "hello"; $t = "hello"; print($s == $t); $t = "hellp"; print($s == $t); print($s != $t)`, "true\nfalse\ntrue"),
	is(`$s = "abc"; $t = "abc longer"; print($s == $t); print($t == $s)`, "false\nfalse"),
	is(`@s = "x"; print(@s == "x"); print(@s == "y"); print(@t == ""); @t = "x"; print(@s == @t); clear(@s); clear(@t)`, "true\nfalse\ntrue\ntrue"),
	is(`$s = ""; print($s == ""); if ($s == "") { print("empty") }`, "true\nempty"),
	is(`$s = "exactly eight!!!"; print($s == "exactly eight!!!"); print($s == "exactly eight!!"); print($s == "exactly eight!!!!")`, "true\nfalse\nfalse"),
	is(`$s = "0123456789abcdef0123456789abcdef0123456789"; print($s == "0123456789abcdef0123456789abcdef0123456789"); print($s == "0123456789abcdef0123456789abcdef012345678X")`, "true\nfalse"),
	is(`if ("abc" == "abc" && "x" != "y") { print("ok") }`, "ok"),
	is(`$s = str("dynamic"); print($s == "dynamic"); print($s == "dynamiC")`, "true\nfalse"),
	is(`print("a" < "b")`, "true"),
	is(`$s = "a"; print($s == "a" || $s == "b"); print($s == "b" || $s == "c")`, "true\nfalse"),
	is(`@m["a"] = "x"; if (@m["a"] == "x") { print("found") } if (@m["b"] == "x") { print("bad") } clear(@m)`, "found"),

	// indexing
	is(`print("abc"[0]); print("abc"[2]); print("abc"[3])`, "97\n99\n0"),
	is(`$s = "abc"; print($s[0]); print($s[1]); $i = 2; print($s[$i])`, "97\n98\n99"),
	is(`$s = "abc"; print($s[0] == "a"[0]); if ($s[0] != "/"[0]) { print("no slash") }`, "true\nno slash"),
	wrong(`$s = "abc"; print($s[10])`, "index 10 is outside of string[4]"),
	is(`$s = "abc"; $i = 10; print($s[$i])`, "0", says("the index is out of bounds: 0 is taken as the value"), differs("it prints what the memory behind the text held")),
	is(`$s = "abc"; $i = 0; while ($i < 4) { printf("%d ", $s[$i]); $i++ } printf("\n")`, "97 98 99 0 ", differs("there an index cannot be of a signed type")),
	wrong(`@s = "xyz"; print(@s[1]); clear(@s)`, "@s has a key here, but none elsewhere"),
	is(`print(comm[0] > 0)`, "true"),
	is(`printf("%c%c\n", "abc"[0], "abc"[1])`, "ab"),

	// strlen and its like
	is(`print(strlen("")); print(strlen("abc")); $s = "hello"; print(strlen($s)); @s = "hello world"; print(strlen(@s)); clear(@s)`, "0\n3\n5\n11"),
	is(`print(strncmp("abc", "abd", 2)); print(strncmp("abc", "abd", 3)); print(strncmp("abc", "abc", 10)); print(strncmp("a", "b", 0))`, "0\n1\n0\n0"),
	is(`$s = "hello"; $t = "help"; print(strncmp($s, $t, 3)); print(strncmp($s, $t, 4)); print(strncmp($s, "hello", 5)); print(strncmp("hel", $s, 3)); print(strncmp($s, "hel", 4))`, "0\n1\n0\n0\n1"),
	is(`print(strcontains("hello", "ell")); print(strcontains("hello", "")); print(strcontains("hello", "hello")); print(strcontains("hello", "hello!")); print(strcontains("", "a")); print(strcontains("", ""))`, "true\ntrue\ntrue\nfalse\nfalse\ntrue"),
	is(`$s = "hello world"; print(strcontains($s, "wor")); print(strcontains($s, "d")); print(strcontains($s, "h")); print(strcontains($s, "xyz"))`, "true\ntrue\ntrue\nfalse"),
	is(`$s = "hello world"; $n = "wor"; print(strcontains($s, $n)); $n = "no"; print(strcontains($s, $n))`, "true\nfalse"),
	is(`print(strstr("hello", "l")); print(strstr("hello", "o")); print(strstr("hello", "h")); print(strstr("hello", ""))`, "2\n4\n0\n0"),
	is(`$s = "aaab"; print(strstr($s, "ab")); print(strstr($s, "aab")); print(strstr($s, "aaab")); print(strstr($s, "b"))`, "2\n1\n0\n3"),
	is(`$s = "hello"; print(strstr($s, "llo")); print(strstr($s, "hello"))`, "2\n0"),
	is(`print(strcap("abc")); `, "4"),

	// str
	is(`print(str("abc")); print(str("abcdef", 3)); print(str("abcdef", 0)); print(str("abcdef", 6)); print(str("abcdef", 100))`, "abc\nabc\n\nabcdef\nabcdef"),
	is(`print(strlen(str("abcdef", 3))); $s = str("abcdef", 2); print($s == "ab")`, "3\ntrue"),
	is(`print(str(0)); print(strlen(str(0)))`, "0\n1"),
	is(`$n = 3; print(str("abcdef", $n))`, "abc", differs("it counts the NUL where the length is no literal")),
	is(`$n = 0; print(str("abcdef", $n)); $n = 100; print(str("abcdef", $n))`, "\nabcdef"),
	is(`print(str((uint8*)0))`, ""),
	is(`print((1, str("abc")))`, "(1, abc)"),
	is(`@x = str("abc"); print(@x); clear(@x)`, "@x: abc"),
	is(`@x[str("abc")] = 1; print(@x["abc"]); clear(@x)`, "1"),

	// max_strlen
	is(`print(str("abcdefghijkl")); print("short")`, "abcdefghijkl\nshort", setting("max_strlen", "8"), differs("there no literal is longer than max_strlen")),
	is(`config = { max_strlen = 8 } begin { $s = "abcdefgh"; print($s) }`, "abcdefgh", differs("there no literal is longer than max_strlen")),
	is(`config = { max_strlen = 8 } begin { print(str("1234567")) }`, "1234567"),
	is(`config = { max_strlen = 65 } begin { $s = str("x"); print(sizeof($s)) }`, "2"),
	is(`print("a literal that is much longer than sixty four characters, just to see whether it is shown whole or cut at some place on the way out of the kernel")`, "a literal that is much longer than sixty four characters, just to see whether it is shown whole or cut at some place on the way out of the kernel"),
	is(`$s = "a literal that is much longer than sixty four characters, just to see whether it is shown whole or cut at some place"; @x[$s] = 1; print(@x[$s]); clear(@x)`, "1"),

	// buf
	is(`print(buf("abc", 3)); print(buf("abc\x01\xff", 5)); print(buf("abc", 1)); print(buf("abc", 0))`, "abc\nabc\\x01\\xff\na\n"),
	is(`printf("%r|%rx|%rh\n", buf("ab\n", 3), buf("ab\n", 3), buf("ab\n", 3))`, `ab\x0a|\x61\x62\x0a|61 62 0a`),
	is(`$b = buf("abcd", 4); print($b); @b = $b; print(@b); clear(@b)`, "abcd\n@b: abcd"),
	is(`@b[buf("abc", 3)] = 1; print(@b[buf("abc", 3)]); clear(@b)`, "1"),
	is(`print(buf((uint8[4])0x64636261)); print(buf((uint8[4])0x64636261, 2))`, "abcd\nab"),
	is(`$n = 2; print(buf("abcd", $n))`, "ab"),
	is(`print(buf("\"\\", 2))`, `"\`),
	is(`print((1, buf("abc", 3)))`, "(1, abc)"),
	is(`print(buf("a b~\x7f\x1f", 6))`, `a b~\x7f\x1f`),
	is(`printf("%s\n", buf("abc", 3))`, "abc"),

	// conversions of addresses
	is(`print(ntop(0x0100007f)); print(ntop(0)); print(ntop(0xffffffff)); print(ntop(2, 0x0100007f))`, "127.0.0.1\n0.0.0.0\n255.255.255.255\n127.0.0.1"),
	is(`$a = (uint32)0x0100007f; print(ntop($a)); print(ntop(2, $a))`, "127.0.0.1\n127.0.0.1"),
	is(`print(pton("127.0.0.1")); print(pton("255.254.1.0")); print(pton("::1")); print(pton("fe80::1:2"))`, "[127,0,0,1]\n[255,254,1,0]\n[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]\n[254,128,0,0,0,0,0,0,0,0,0,0,0,1,0,2]"),
	is(`print(ntop(pton("192.168.1.1"))); print(ntop(pton("::1"))); print(ntop(10, pton("2001:db8::5:0:0:1"))); print(ntop(pton("::ffff:1.2.3.4"))); print(ntop(pton("1:2:3:4:5:6:7:8")))`, "192.168.1.1\n::1\n2001:db8::5:0:0:1\n::ffff:1.2.3.4\n1:2:3:4:5:6:7:8", differs("its pton does not know this form")),
	is(`print((uint32)pton("1.2.3.4")); print(pton("1.2.3.4") == pton("1.2.3.4"))`, "67305985\ntrue"),
	wrong(`print(pton("1.2.3"))`, `"1.2.3" is no IP address`),
	wrong(`print(pton("::g"))`, `"::g" is no IP address`),
	is(`@a[ntop(0x0100007f)] = 1; print(@a[ntop(0x0100007f)]); print(@a); clear(@a)`, "1\n@a[127.0.0.1]: 1"),
	is(`@a[ntop(pton("::1"))] = 2; print(@a); clear(@a)`, "@a[::1]: 2"),
	is(`printf("%s|%20s|%-20s|\n", ntop(0x0100007f), ntop(0x0100007f), ntop(0x0100007f))`, "127.0.0.1|           127.0.0.1|127.0.0.1           |"),
	is(`print(bswap((uint8)0x12)); print(bswap((uint16)0x1234)); print(bswap((uint32)0x12345678)); print(bswap((uint64)0x1122334455667788)); print(bswap(0x1234))`, "18\n13330\n2018915346\n9833440827789222417\n13330"),
	is(`$a = (uint16)0x1234; print(bswap($a)); $b = (int16)0x1234; print(bswap($b)); $c = -2; print(bswap($c))`, "13330\n13330\n254"),
	is(`print(macaddr((uint8[6])0))`, "00:00:00:00:00:00"),

	// names
	is(`print(strerror(0)); print(strerror(1)); print(strerror(2)); print(strerror(13)); print(strerror(22)); print(strerror(110)); print(strerror(1000)); print(strerror(-1))`, "Success\nOperation not permitted\nNo such file or directory\nPermission denied\nInvalid argument\nConnection timed out\nUnknown error\nOperation not permitted"),
	is(`$e = 2; print(strerror($e)); printf("%s|%d\n", strerror($e), 5); @e[strerror($e)] = 1; print(@e); clear(@e)`, "No such file or directory\nNo such file or directory|5\n@e[No such file or directory]: 1"),
	is(`print(signal_name(1)); print(signal_name(9)); print(signal_name(15)); print(signal_name(0)); print(signal_name(64)); print(signal_name(65)); print(signal_name(34))`, "Hangup\nKilled\nTerminated\nUnknown signal 0\nReal-time signal 30\nN/A\nReal-time signal 0"),
	is(`$s = 9; print(signal_name($s)); `, "Killed"),
	is(`print(syscall_name(0)); print(syscall_name(1)); print(syscall_name(59)); print(syscall_name(257)); print(syscall_name(335)); print(syscall_name(9999))`, "read\nwrite\nexecve\nopenat\nuretprobe\nUnknown syscall"),
	is(`$s = 59; print(syscall_name($s)); @s[syscall_name($s)] = count(); print(@s); clear(@s)`, "execve\n@s[execve]: 1"),
	is(`print(username); printf("%s\n", username)`, "root\nroot"),
	is(`print(cgroup_path(0xffffffff))`, ""),
}
