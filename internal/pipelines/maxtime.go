package pipelines

import (
	"cmp"
	"strings"
	"time"

	"bitbucket-oidc/internal/nowait"
)

// defaultMaxTime is Bitbucket's own, where neither the step nor the options set one (Atlassian, "Step options").
const defaultMaxTime = 120 * time.Minute

// A Running step is what a login knows of the step that it runs in. Bitbucket does not say which step of the file it is.
type Running struct {
	Deployment bool   // whether it deploys
	Name       string // of the deployment environment, or empty if it is not known
}

// MaxTime is the max-time of the running step. If several steps of the file could be the running one and they differ, it is the
// time that the file gives to a step without a max-time of its own. Without a file that can be read there is no answer.
func MaxTime(cloneDir string, running Running) (time.Duration, bool) {
	data, err := read(cloneDir)
	if err != nil {
		return 0, false
	}
	file, err := Parse(data)
	if err != nil {
		return 0, false
	}
	usual := cmp.Or(file.MaxTime, defaultMaxTime)
	var told time.Duration
	for _, s := range file.Steps {
		if !s.Token || !running.couldBe(s) {
			continue
		}
		limit := cmp.Or(s.MaxTime, usual)
		if told != 0 && told != limit {
			return usual, true
		}
		told = limit
	}
	return cmp.Or(told, usual), true
}

func (running Running) couldBe(s Step) bool {
	deployment := ""
	if s.Deploys {
		deployment = s.Environment
	}
	if running.Name != "" {
		return strings.EqualFold(deployment, running.Name)
	}
	return running.Deployment == (deployment != "")
}

// read reads the file if it is a regular one: a link could lead anywhere.
func read(cloneDir string) ([]byte, error) {
	root, err := nowait.Folder(cloneDir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return nowait.ReadIn(root, FileName, MaxSize)
}
