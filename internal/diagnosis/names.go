package diagnosis

import "bitbucket-oidc/internal/pattern"

// placeholders are the words of the tables that stand for names and claims of a login.
const placeholders = `WORKSPACE|WORKSPACE_UUID|REPOSITORY_UUID|ENVIRONMENT_UUID|STEP_UUID|ACCOUNT_ID|ROLE_NAME|FIRST_ROLE_NAME|` +
	`PROJECT_NUMBER|POOL|PROVIDER|SERVICE_ACCOUNT|MOUNT|ORGANIZATION|BRANCH_NAME|PIPELINE_UUID`

// names are the names in a text, by their placeholders.
type names map[string]string

const role = `arn:aws[a-z-]*:iam::(\d{12}):role/(?:[A-Za-z0-9+=,.@_/-]*/)?([A-Za-z0-9+=,.@_-]{1,64})`

var (
	firstRole = pattern.New(role + ` from arn:aws[a-z-]*:iam::(\d{12}):role/((?:[A-Za-z0-9+=,.@_/-]*/)?([A-Za-z0-9+=,.@_-]{1,64}))`)
	oneRole   = pattern.New(role)
	assumed   = pattern.New(`arn:aws[a-z-]*:sts::(\d{12}):assumed-role/([A-Za-z0-9+=,.@_-]{1,64})/`)
	project   = pattern.New(`\bproject (\d{6,})\b`)
	pool      = pattern.New(`projects/(\d+)/locations/global/workloadIdentityPools/([a-z0-9-]{1,32})(?:/providers/([a-z0-9-]{1,32}))?`)
	account   = pattern.New(`([a-z0-9-]{1,63}@[a-z0-9.-]{1,100}\.gserviceaccount\.com)`)
	vaultRole = pattern.New(`auth/([A-Za-z0-9_/-]{1,100})/role/([A-Za-z0-9_.-]{1,100})`)
)

// chainAccount stands for the account of a chain's first role, where the placeholder is that of the last role's account as well.
const chainAccount = "ACCOUNT_ID:role/FIRST_ROLE_NAME"

// namesIn finds the names in a text. It takes only names of a form that cannot be anything else in a shell or in a policy.
func namesIn(text string) names {
	n := names{}
	take := func(p *pattern.Pattern, placeholders ...string) {
		m := p.FindStringSubmatch(text)
		for i := 0; m != nil && i < len(placeholders); i++ {
			if _, known := n[placeholders[i]]; !known && m[i+1] != "" { // the text may name the pool alone
				n[placeholders[i]] = m[i+1]
			}
		}
	}
	if m := firstRole.FindStringSubmatch(text); m != nil {
		n[chainAccount], n["FIRST_ROLE_NAME"] = m[3]+":role/"+m[4], m[5]
	}
	take(oneRole, "ACCOUNT_ID", "ROLE_NAME")
	take(assumed, "ACCOUNT_ID", "ROLE_NAME")
	take(pool, "PROJECT_NUMBER", "POOL", "PROVIDER")
	take(project, "PROJECT_NUMBER")
	take(account, "SERVICE_ACCOUNT")
	take(vaultRole, "MOUNT", "ROLE_NAME")
	return n
}

// word is what may be a placeholder: a variable's name that ends like one is a longer word.
var word = pattern.New(chainAccount + `|[A-Z][A-Z0-9_]*`)

// fill replaces the placeholders by the names.
func (n names) fill(advice string) string {
	return word.ReplaceAllStringFunc(advice, func(w string) string {
		if name, ok := n[w]; ok {
			return name
		}
		return w
	})
}
