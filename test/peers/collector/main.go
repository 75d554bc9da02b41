// A collector of OpenTelemetry that takes logs by OTLP/HTTP and writes what it took to a file: the receiver, the pipeline and the
// configuration are OpenTelemetry's own. It is a module of its own, whose dependencies are many.
//
//	collector ADDRESS FILE
package main

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

const config = `yaml:
receivers: {otlp: {protocols: {http: {endpoint: "%s"}}}}
exporters: {lines: {}}
service:
  telemetry: {metrics: {level: none}, logs: {level: error}}
  pipelines: {logs: {receivers: [otlp], exporters: [lines]}}
`

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: collector ADDRESS FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "collector:", err)
		os.Exit(1)
	}
}

func run(address, file string) error {
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	collector, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "collector", Version: "test"},
		Factories: func() (otelcol.Factories, error) { return factories(out) },
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs:              []string{fmt.Sprintf(config, address)},
			ProviderFactories: []confmap.ProviderFactory{yamlprovider.NewFactory()},
			DefaultScheme:     "yaml",
		}},
	})
	if err != nil {
		return err
	}
	return collector.Run(context.Background())
}

func factories(out *os.File) (f otelcol.Factories, err error) {
	if f.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err != nil {
		return f, err
	}
	f.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](lines(out))
	f.Telemetry = otelconftelemetry.NewFactory()
	return f, err
}

// lines is an exporter that writes each request, in OTLP's own JSON, as one line.
func lines(out *os.File) exporter.Factory {
	return exporter.NewFactory(component.MustNewType("lines"), func() component.Config { return &struct{}{} },
		exporter.WithLogs(func(context.Context, exporter.Settings, component.Config) (exporter.Logs, error) {
			return exporterTo{out}, nil
		}, component.StabilityLevelDevelopment))
}

type exporterTo struct{ out *os.File }

func (exporterTo) Start(context.Context, component.Host) error { return nil }
func (exporterTo) Shutdown(context.Context) error              { return nil }
func (exporterTo) Capabilities() consumer.Capabilities         { return consumer.Capabilities{} }

// ConsumeLogs writes by one call, so that requests side by side do not mix.
func (e exporterTo) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	line, err := new(plog.JSONMarshaler).MarshalLogs(logs)
	if err == nil {
		_, err = e.out.Write(append(line, '\n'))
	}
	return err
}
