package test

import (
	"strings"
	"sync"

	"bitbucket-oidc/test/cloud"

	"github.com/rogpeppe/go-internal/testscript"
)

// insightsKey finds the script's own proxy of Code Insights.
type insightsKey struct{}

// insightsPort is held by the one script that has the proxy's port.
var insightsPort sync.Mutex

// cmdInsights starts the proxy, or looks at what was published there.
func cmdInsights(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "insights")
	if len(args) == 0 {
		insightsPort.Lock()
		proxy, err := cloud.StartInsights()
		if err != nil {
			insightsPort.Unlock()
			ts.Fatalf("%v", err)
		}
		*ts.Value(insightsKey{}).(**cloud.Insights) = proxy
		ts.Defer(func() {
			proxy.Close()
			insightsPort.Unlock()
		})
		return
	}
	if len(args) < 2 {
		ts.Fatalf("usage: insights [REPORT ANNOTATIONS TEXT…]")
	}
	report, annotations := insightsOf(ts).Published(args[0])
	if want := number(ts, args[1]); len(annotations) != want {
		ts.Fatalf("%d annotations, not %d:\n%s", len(annotations), want, strings.Join(annotations, "\n"))
	}
	whole := report + "\n" + strings.Join(annotations, "\n")
	for _, text := range args[2:] {
		if !strings.Contains(whole, text) {
			ts.Fatalf("no %q in:\n%s", text, whole)
		}
	}
}

func insightsOf(ts *testscript.TestScript) *cloud.Insights {
	proxy := *ts.Value(insightsKey{}).(**cloud.Insights)
	if proxy == nil {
		ts.Fatalf("no proxy: insights starts it")
	}
	return proxy
}
