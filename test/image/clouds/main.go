// Command clouds serves the fake clouds on loopback until it is told to stop. The variables that send the pipe to them,
// among them the token of a step, go to the file that its argument names, one NAME=VALUE a line as `docker run --env-file`
// takes them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"bitbucket-oidc/test/cloud"
)

func main() {
	silent := flag.Bool("silent", false, "never answer a request")
	flag.Parse()
	if err := serve(flag.Arg(0), *silent); err != nil {
		fmt.Fprintln(os.Stderr, "clouds:", err)
		os.Exit(1)
	}
}

func serve(file string, silent bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	world, err := cloud.StartWorld()
	if err != nil {
		return err
	}
	defer world.Close()
	if silent {
		for _, server := range []*cloud.Server{world.STS, world.GoogleSTS, world.IAMCredentials} {
			server.Inject(cloud.Repeat(100, cloud.Hang)...)
		}
	}

	variables := append(world.Endpoints(),
		"BITBUCKET_STEP_OIDC_TOKEN="+world.Issuer.Token(cloud.DefaultStep()),
		"AWS_OIDC_ROLE_ARN="+cloud.RoleARN,
		"AWS_DEFAULT_REGION=eu-west-1",
		"GCP_WORKLOAD_IDENTITY_PROVIDER="+cloud.ProviderName,
		"GCP_SERVICE_ACCOUNT="+cloud.ServiceAccountEmail,
	)
	// Whoever waits for the file must not find half of it.
	if err := os.WriteFile(file+".new", []byte(strings.Join(variables, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
