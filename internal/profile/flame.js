"use strict";
// What a box is stands in its attributes and its title; nothing here makes markup of a text.
(function () {
	var svg = document.documentElement, byId = function (id) { return document.getElementById(id); };
	var margin = 10, letter = 7.23, rowHeight = 17, bar = byId("bar"), details = byId("details"), found = byId("matched");
	var total = Number(svg.getAttribute("data-total")), height = Number(svg.getAttribute("height"));
	var boxes = Array.prototype.map.call(byId("boxes").children, function (g) {
		var numbers = g.getAttribute("data-b").split(" ").map(Number), title = g.firstElementChild.textContent;
		var box = { g: g, rect: g.children[1], text: g.children[2], start: numbers[0], value: numbers[1], row: numbers[2] };
		box.title = title;
		box.name = title.split("\n", 1)[0];
		g.box = box;
		return box;
	});
	if (boxes.length === 0) { return; }
	var zoom = boxes[0], selected = null, pattern = null, input = null, width = 0;

	function end(box) { return box.start + box.value; }
	function inside(box, other) { return box.start >= other.start && end(box) <= end(other); }

	function label(box, room) {
		var letters = Math.floor((room - 6) / letter), name = Array.from(box.name);
		if (letters < 3) { return ""; }
		return name.length <= letters ? box.name : name.slice(0, letters - 2).join("") + "..";
	}

	// What is below the zoomed box is as wide as the picture, what is beside it is gone.
	function draw() {
		width = Math.max(window.innerWidth || 0, 400);
		svg.removeAttribute("viewBox");
		svg.setAttribute("width", width);
		var scale = (width - 2 * margin) / zoom.value;
		boxes.forEach(function (box) {
			var below = box.row < zoom.row && inside(zoom, box), shown = below || box.row >= zoom.row && inside(box, zoom);
			var x = below ? margin : margin + (box.start - zoom.start) * scale, w = below ? width - 2 * margin : box.value * scale;
			box.shown = shown && w >= 0.25;
			box.g.style.display = box.shown ? "" : "none";
			box.g.classList.toggle("below", below);
			if (!box.shown) { return; }
			box.rect.setAttribute("x", x.toFixed(2));
			box.rect.setAttribute("width", Math.max(w - 0.3, 0.25).toFixed(2));
			box.text.setAttribute("x", (x + 3).toFixed(2));
			box.text.textContent = label(box, w);
		});
		byId("reset").style.display = zoom === boxes[0] ? "none" : "";
		place();
		matches();
	}

	// The bar stays at the window's lower edge while the picture scrolls.
	function place() {
		var lower = Math.min(height, window.scrollY + window.innerHeight);
		bar.setAttribute("transform", "translate(0," + (lower - height) + ")");
		byId("barground").setAttribute("width", width);
		byId("buttons").setAttribute("transform", "translate(" + (width - 1200) + ",0)");
	}

	function show(box) {
		var lines = box ? box.title.split("\n") : [" "];
		details.textContent = lines.length > 1 ? lines[0] + " - " + lines.slice(1).join(" - ") : lines[0];
	}

	function select(box) {
		if (selected) { selected.g.classList.remove("on"); }
		selected = box;
		if (box) { box.g.classList.add("on"); }
		show(box);
	}

	function zoomTo(box) {
		zoom = box;
		select(null);
		draw();
		show(box === boxes[0] ? null : box);
	}

	function parent(box) {
		var best = null;
		boxes.forEach(function (b) { if (b.row === box.row - 1 && inside(box, b)) { best = b; } });
		return best;
	}

	// The next box that is shown, of those that test chooses, the nearest by where it begins.
	function nearest(test, distance) {
		var best = null;
		boxes.forEach(function (b) {
			if (b.shown && test(b) && (best === null || distance(b) < distance(best))) { best = b; }
		});
		return best;
	}

	function move(key) {
		var from = selected || zoom, to = null;
		if (key === "ArrowDown") {
			to = parent(from);
		} else if (key === "ArrowUp") {
			to = nearest(function (b) { return b.row === from.row + 1 && inside(b, from); }, function (b) { return -b.value; });
		} else if (key === "ArrowLeft") {
			to = nearest(function (b) { return b.row === from.row && end(b) <= from.start; }, function (b) { return -b.start; });
		} else {
			to = nearest(function (b) { return b.row === from.row && b.start >= end(from); }, function (b) { return b.start; });
		}
		if (to) {
			select(to);
			if (to.g.scrollIntoView) { to.g.scrollIntoView({ block: "nearest" }); }
			place();
		}
	}

	function share(part, of) { return (part / of * 100).toFixed(2) + "%"; }

	// Of boxes upon each other only the lowest counts: they come with the callers first.
	function matches() {
		var sum = 0, here = 0, count = 0, upTo = -1;
		boxes.forEach(function (box) {
			var hit = pattern !== null && !box.g.classList.contains("narrow") && pattern.test(box.name);
			box.g.classList.toggle("found", hit);
			if (!hit) { return; }
			count++;
			if (box.start >= upTo) {
				upTo = end(box);
				sum += box.value;
				here += Math.max(0, Math.min(end(box), end(zoom)) - Math.max(box.start, zoom.start));
			}
		});
		byId("clear").style.display = pattern === null ? "none" : "";
		found.textContent = pattern === null ? "" : "matched: " + share(sum, total) + " of all" +
			(zoom === boxes[0] ? "" : ", " + share(here, zoom.value) + " of what is shown") + ", " + count + (count === 1 ? " box" : " boxes");
		found.classList.remove("wrong");
	}

	// Small letters find large ones too.
	function search(text) {
		pattern = null;
		try {
			if (text !== "") { pattern = new RegExp(text, /[A-Z]/.test(text) ? "" : "i"); }
			matches();
		} catch (e) {
			matches();
			found.textContent = "not a regular expression: " + text;
			found.classList.add("wrong");
		}
	}

	function closeInput() {
		if (input) {
			input.parentNode.remove();
			input = null;
		}
	}

	function openInput() {
		if (input) {
			input.focus();
			return;
		}
		var holder = document.createElementNS("http://www.w3.org/2000/svg", "foreignObject");
		input = document.createElementNS("http://www.w3.org/1999/xhtml", "input");
		[["x", width - 310], ["y", height - 27], ["width", 300], ["height", 24]].forEach(function (a) { holder.setAttribute(a[0], a[1]); });
		input.setAttribute("placeholder", "regular expression");
		input.setAttribute("style", "width: 290px; height: 20px; box-sizing: border-box; font: 12px monospace");
		input.value = pattern === null ? "" : pattern.source;
		input.addEventListener("input", function () { search(input.value); });
		input.addEventListener("keydown", function (event) {
			event.stopPropagation();
			if (event.key === "Enter") { closeInput(); }
			if (event.key === "Escape") {
				closeInput();
				search("");
			}
		});
		holder.appendChild(input);
		bar.appendChild(holder);
		input.focus();
	}

	function boxAt(event) {
		var g = event.target.closest ? event.target.closest("#boxes > g") : null;
		return g ? g.box : null;
	}

	byId("boxes").addEventListener("click", function (event) {
		var box = boxAt(event);
		if (box) { zoomTo(box); }
	});
	byId("boxes").addEventListener("mouseover", function (event) { show(boxAt(event) || selected); });
	byId("boxes").addEventListener("mouseout", function () { show(selected); });
	byId("reset").addEventListener("click", function () { zoomTo(boxes[0]); });
	byId("search").addEventListener("click", openInput);
	byId("clear").addEventListener("click", function () {
		closeInput();
		search("");
	});
	window.addEventListener("resize", draw);
	window.addEventListener("scroll", place);
	window.addEventListener("keydown", function (event) {
		if (event.ctrlKey || event.metaKey || event.altKey) { return; }
		if (event.key.indexOf("Arrow") === 0) {
			move(event.key);
		} else if (event.key === "Enter" && selected) {
			zoomTo(selected);
		} else if (event.key === "Backspace") {
			zoomTo(parent(zoom) || boxes[0]);
		} else if (event.key === "Escape") {
			if (pattern !== null) { search(""); } else { zoomTo(boxes[0]); }
		} else if (event.key === "/") {
			openInput();
		} else {
			return;
		}
		event.preventDefault();
	});

	byId("buttons").style.display = "";
	draw();
	window.scrollTo(0, height);
	place();
})();
