package main

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"causeway"
	"causeway/ent"
	"causeway/internal/intake"
	"causeway/internal/platform"
	"causeway/internal/store"
	"causeway/internal/webhook"
)

const (
	// countedEvery is how old what the database is asked for may be, however many ask.
	countedEvery = 10 * time.Second
	// countedWithin bounds that look at the database.
	countedWithin = 5 * time.Second
)

// metrics are what GET /metrics tells: numbers of this process since its start, and of the
// database, which all servers share. No label names a campaign, a connection, a person or
// an address.
type metrics struct {
	clock    causeway.Clock
	registry *prometheus.Registry

	deliveries *prometheus.HistogramVec // of webhooks
	strangers  prometheus.Counter
	updates    *prometheus.HistogramVec
	calls      *prometheus.HistogramVec
	responses  *prometheus.CounterVec
	present    prometheus.Gauge
}

func newMetrics(clock causeway.Clock, db *store.Store) *metrics {
	waits := []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 86400}
	m := &metrics{
		clock: clock, registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "causeway_webhook_seconds", Help: "Requests of platforms, until they were answered. address is connection where a connection has an address of its own, and app where all pages of this server's Facebook app share one.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"platform", "address", "status"}),
		strangers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "causeway_webhook_strangers_total", Help: "Entries of pages that nobody connected here, which were not kept.",
		}),
		updates: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "causeway_update_seconds", Help: "Stored updates that were processed, from when they were received.", Buckets: waits,
		}, []string{"outcome"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "causeway_send_seconds", Help: "Calls that send a message or a part of one, from when the message was queued until the platform answered. outcome is sent, part (more of the message follows), failed, or waits (to be tried again).", Buckets: waits,
		}, []string{"platform", "outcome"}),
		responses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "causeway_graphql_responses_total", Help: "Responses of executed operations, by the code of the first error, or OK. A subscription has one for each event, shared by all who follow the same.",
		}, []string{"operation", "code"}),
		present: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "causeway_sessions", Help: "WebSockets that are signed in, and event streams.",
		}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewDBStatsCollector(db.Readers(), "readers"),
		m.deliveries, m.strangers, m.updates, m.calls, m.responses, m.present,
		&counted{clock: clock, db: db},
	)
	return m
}

// handler serves the numbers.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// webhooks counts what a door for platforms answers.
func (m *metrics) webhooks(on platform.Name, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, address := m.clock.Now(), "connection"
		if r.URL.Path == webhook.FacebookPath {
			address = "app"
		}
		noted := &statusNoted{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(noted, r)
		m.deliveries.WithLabelValues(string(on), address, strconv.Itoa(noted.status)).Observe(m.since(began))
	})
}

// statusNoted remembers the status of a response.
type statusNoted struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (s *statusNoted) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap is the writer beneath, for http.ResponseController.
func (s *statusNoted) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// applied counts what becomes of updates, once that is committed.
func (m *metrics) applied(
	apply func(*store.Tx, []*ent.WebhookLog) ([]intake.Outcome, error),
) func(*store.Tx, []*ent.WebhookLog) ([]intake.Outcome, error) {
	return func(tx *store.Tx, logs []*ent.WebhookLog) ([]intake.Outcome, error) {
		outcomes, err := apply(tx, logs)
		if err != nil {
			return nil, err
		}
		tx.AfterCommit(func() {
			for i, outcome := range outcomes {
				m.updates.WithLabelValues(nameOf(outcome)).Observe(m.since(logs[i].ReceivedAt))
			}
		})
		return outcomes, nil
	}
}

func nameOf(outcome intake.Outcome) string {
	switch {
	case outcome.Err != nil:
		return "failed"
	case outcome.Duplicate:
		return "duplicate"
	case outcome.Ignored:
		return "ignored"
	default:
		return "processed"
	}
}

// called counts what came of a call that sends.
func (m *metrics) called(on platform.Name, outcome string, took time.Duration) {
	m.calls.WithLabelValues(string(on), outcome).Observe(took.Seconds())
}

// isPresent counts a session while it is open; open is told of it, too.
func (m *metrics) isPresent(open func(context.Context) func()) func(context.Context) func() {
	return func(ctx context.Context) func() {
		m.present.Inc()
		gone := open(ctx)
		return func() {
			m.present.Dec()
			gone()
		}
	}
}

func (m *metrics) since(at time.Time) float64 { return max(0, m.clock.Now().Sub(at).Seconds()) }

// responded counts GraphQL responses.
type responded struct{ *metrics }

var (
	_ graphql.HandlerExtension    = responded{}
	_ graphql.ResponseInterceptor = responded{}
)

// ExtensionName names it for gqlgen.
func (responded) ExtensionName() string { return "Metrics" }

// Validate has nothing to check.
func (responded) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse counts a response by what it tells its client.
func (m responded) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)
	if response == nil || !graphql.HasOperationContext(ctx) {
		return response
	}
	op := graphql.GetOperationContext(ctx).Operation
	if op == nil {
		return response
	}
	code := "OK"
	if len(response.Errors) > 0 {
		code = "INTERNAL"
		switch known := response.Errors[0].Extensions["code"].(type) {
		case string:
			code = known
		case causeway.Code:
			code = string(known)
		}
	}
	m.responses.WithLabelValues(string(op.Operation), code).Inc()
	return response
}

// counted is what the database is asked for when somebody looks. The statements have
// their words in them, since indexes of some rows are not used for parameters.
type counted struct {
	clock causeway.Clock
	db    *store.Store

	mu   sync.Mutex
	at   time.Time
	last []prometheus.Metric
}

var _ prometheus.Collector = (*counted)(nil)

var (
	connectionsGauge = prometheus.NewDesc("causeway_connections", "Connections that are not disconnected.", []string{"platform", "status"}, nil)
	waitingGauge     = prometheus.NewDesc("causeway_waiting", "What waits to be done: stored updates, messages to be sent, files to be fetched.", []string{"what"}, nil)
)

const (
	countConnections = `SELECT platform, status, COUNT(*) FROM connections WHERE disconnected_at IS NULL GROUP BY platform, status`
	countUpdates     = `SELECT COUNT(*) FROM webhook_logs WHERE status = 'PENDING'`
	countMessages    = `SELECT COUNT(*) FROM messages WHERE status = 'QUEUED'`
	countFiles       = `SELECT COUNT(*) FROM attachments WHERE state = 'PENDING'`
)

// Describe tells what is counted.
func (c *counted) Describe(to chan<- *prometheus.Desc) {
	to <- connectionsGauge
	to <- waitingGauge
}

// Collect tells what was counted last, or counts anew when that is old.
func (c *counted) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock.Now(); c.last == nil || !now.Before(c.at.Add(countedEvery)) {
		ctx, cancel := context.WithTimeout(context.Background(), countedWithin)
		defer cancel()
		fresh, err := c.count(ctx)
		if err != nil {
			to <- prometheus.NewInvalidMetric(waitingGauge, err)
			return
		}
		c.last, c.at = fresh, now
	}
	for _, metric := range c.last {
		to <- metric
	}
}

func (c *counted) count(ctx context.Context) ([]prometheus.Metric, error) {
	var all []prometheus.Metric
	rows, err := c.db.Readers().QueryContext(ctx, countConnections)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var on, status string
		var n float64
		if err := rows.Scan(&on, &status, &n); err != nil {
			return nil, err
		}
		all = append(all, prometheus.MustNewConstMetric(connectionsGauge, prometheus.GaugeValue, n, on, status))
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for what, query := range map[string]string{"updates": countUpdates, "messages": countMessages, "files": countFiles} {
		var n float64
		if err := c.db.Readers().QueryRowContext(ctx, query).Scan(&n); err != nil {
			return nil, err
		}
		all = append(all, prometheus.MustNewConstMetric(waitingGauge, prometheus.GaugeValue, n, what))
	}
	return all, nil
}
