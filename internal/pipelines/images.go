package pipelines

import "slices"

// usualImage is the build image of a step if the file names none (Atlassian, "Use Docker images as build environments").
const usualImage = "atlassian/default-image:latest"

// Images are the build images and the pipes of all steps of the checkout's pipelines file, each once and as written. Without a file
// that can be read there is no answer.
func Images(cloneDir string) ([]string, bool) {
	data, err := read(cloneDir)
	if err != nil {
		return nil, false
	}
	file, err := Parse(data)
	if err != nil {
		return nil, false
	}
	all := []string{}
	add := func(name string) {
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	for _, s := range file.Steps {
		if s.Image == nil {
			add(usualImage)
		} else {
			add(s.Image.Name)
		}
		for _, item := range s.Script {
			if item.Pipe != nil {
				add(item.Pipe.Name)
			}
		}
	}
	return all, true
}
