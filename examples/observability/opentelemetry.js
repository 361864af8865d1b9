// OpenTelemetry: the connections of this service, here to the console. It needs `npm install @opentelemetry/sdk-metrics`.
import { ConsoleMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { serve } from 'listenfds';

const reader = new PeriodicExportingMetricReader({ exporter: new ConsoleMetricExporter() });
const provider = new MeterProvider({ readers: [reader] });

const service = await serve((_request, response) => response.end('hello\n'), {
  port: process.env.PORT ?? 3000,
  onStop: () => provider.shutdown(),
});
console.log(service.listening[0].url);

const meter = provider.getMeter('web');
meter.createObservableGauge('connections.active').addCallback((result) => result.observe(service.stats.active));
meter.createObservableCounter('connections.accepted').addCallback((result) => result.observe(service.stats.accepted));
meter.createObservableCounter('connections.refused').addCallback((result) => result.observe(service.stats.refused));
