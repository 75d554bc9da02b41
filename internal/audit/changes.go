package audit

import "regexp"

// change is where the step first changes something, or nil.
func (s *step) change() *place {
	for _, c := range s.commands {
		if changes.MatchString(c.Text()) && !harmless.MatchString(c.Text()) {
			return &c.at
		}
	}
	for _, p := range s.pipes {
		if changingPipe.MatchString(p.name) {
			return &p.place
		}
	}
	if changingName.MatchString(s.Name) && !plans.MatchString(s.Name) {
		return &s.src.Place
	}
	return nil
}

var (
	changes = regexp.MustCompile(`\b(?:terraform|tofu|terragrunt)\b.* (?:apply|destroy)\b|^\S*(?:terraform|tofu|terragrunt) (?:apply|destroy)\b` +
		`|\bpulumi (?:up|destroy)\b|\b(?:cdk|cdktf|sam|sls|serverless|cargo lambda|faas-cli|firebase)\b.* deploy\b|\bhelm (?:upgrade|install)\b` +
		`|\bkubectl\b.* (?:apply|set|rollout|delete)\b|\baws s3 (?:cp|sync|mv|rm)\b.*\bs3://|\baws cloudformation (?:deploy|create|update|delete)` +
		`|\baws ecs (?:update-service|register-task-definition|run-task)|\becs deploy\b|\baws lambda (?:update|publish)|\baws cloudfront create-invalidation` +
		`|\bdocker push\b|\bgcloud (?:\w+ )?(?:run|app|functions) (?:\S+ )?deploy\b|\b(?:gsutil|gcloud storage) (?:-m )?(?:cp|rsync)\b.*\bgs://`)
	harmless     = regexp.MustCompile(`^(?:echo|printf|#)|--dry-?run\b|--dryrun\b|\baws s3 (?:cp|sync|mv) s3://\S+ (?:[^s-]|s[^3])\S*$|\b(?:gsutil|gcloud storage) (?:-m )?(?:cp|rsync) (?:-\S+ )*gs://\S+ [^g-]\S*$|rollout status`)
	changingPipe = regexp.MustCompile(`(?i)(?:^|[-_])(?:deploy|push|publish|run)(?:$|[-_])`)
	changingName = regexp.MustCompile(`(?i)\b(?:deploy|deploys|deployment|release|publish|promote|apply|rollback|destroy|delete)\b`)
	plans        = regexp.MustCompile(`(?i)\b(?:plan|diff|preview|test|check|dry[- ]?run|validate)\b`)
)
