// The Go client: NETWORK (tcp or tls) PORT TAG COUNT. Sends COUNT records with acks and ends with 0 if each of them was
// acknowledged.
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/fluent/fluent-logger-golang/fluent"
)

func main() {
	port, _ := strconv.Atoi(os.Args[2])
	count, _ := strconv.Atoi(os.Args[4])
	logger, err := fluent.New(fluent.Config{
		FluentNetwork:         os.Args[1],
		FluentHost:            "127.0.0.1",
		FluentPort:            port,
		RequestAck:            true,
		SubSecondPrecision:    true,
		TlsInsecureSkipVerify: true,
		MaxRetry:              3,
	})
	check(err)
	for n := 0; n < count; n++ {
		nested := map[string]interface{}{"list": []interface{}{1, 2.5, nil, true}}
		check(logger.Post(os.Args[3], map[string]interface{}{"n": n, "nested": nested, "text": "grün"}))
	}
	check(logger.Close())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
