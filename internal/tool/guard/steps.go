package guard

import "path"

// addSteps notes the steps of a path that was walked, for override: it has nothing but the names that a caller writes.
func (a *armer) addSteps(f *found) {
	for i, s := range f.steps {
		switch {
		case s.obj == Object{}:
		case !s.link:
			a.addStep(s.dir, s.name, s.obj, false)
		case i < len(f.steps)-1:
			a.addLink(s)
		}
	}
}

func (a *armer) addStep(dir Object, name string, to Object, link bool) {
	a.out.Steps[Entry{dir, name}] = Step{to, link}
	if !link {
		a.out.Steps[Entry{to, ".."}] = Step{dir, false}
	}
}

// addLink notes a symbolic link on the way: a step to where it leads. That is walked as well, so that the way there is known by
// its own names.
func (a *armer) addLink(s step) {
	at := Entry{s.dir, s.name}
	if _, known := a.out.Steps[at]; known {
		return
	}
	a.out.Steps[at] = Step{} // no other walk takes it up
	f, err := a.walker.walk(path.Join(s.path, s.name))
	if err != nil || len(f.missing) > 0 {
		delete(a.out.Steps, at)
		if err == nil {
			f.close()
		}
		return // the walk that came by here tells
	}
	defer f.close()
	a.addSteps(f)
	a.addStep(s.dir, s.name, f.obj.Object, true)
}

// putSteps writes the steps, for the mechanism that goes by them.
func (l *loader) putSteps() error {
	room, err := l.tables.Word(bpfVarGuardStepsRoom)
	if err != nil || room == 0 {
		return err
	}
	for at, to := range l.armed.Steps {
		key := tableEntry{l.generation, at.Dir, 0}
		if at.Name != ".." {
			key.Name = nameHash(l.seed, at.Name)
		}
		value := tableStep{Ino: to.To.Ino, Dev: to.To.Dev}
		if to.Link {
			value.Link = 1
		}
		if err := l.put(bpfMapGuardSteps, key, value, "steps of paths"); err != nil {
			return err
		}
	}
	return nil
}
