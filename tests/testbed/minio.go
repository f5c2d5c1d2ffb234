// The other side of MinIO's administration, with the code of MinIO's own library: it decrypts what
// a client sends by madmin.DecryptData, checks signatures, and keeps users and policies. What asks
// for objects goes on to an S3 server, signed anew, if the user has a policy for that bucket.
//
// Paths, parameters and answers are those of minio/minio, cmd/admin-handlers-users.go and
// cmd/admin-router.go, RELEASE.2025-09-07. GET /_peer/state tells what there is.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/minio/madmin-go"
	"github.com/minio/minio-go/v7/pkg/signer"
)

const admin = "/minio/admin/v3/"

type policy struct {
	Version   string
	Statement []struct {
		Effect           string
		Action, Resource []string
	}
}

type state struct {
	Users    map[string]madmin.AddOrUpdateUserReq
	Policies map[string]json.RawMessage
	Of       map[string]string
	Buckets  map[string]bool
	Writes   []string
}

type peer struct {
	sync.Mutex
	state
	root, password, upstream, key, secret, region string
	hold, refuse                                  string
}

func main() {
	listen := flag.String("listen", "", "HOST:PORT")
	cert := flag.String("cert", "", "certificate; none is plain HTTP")
	key := flag.String("key", "", "its key")
	p := &peer{state: state{
		Users: map[string]madmin.AddOrUpdateUserReq{}, Policies: map[string]json.RawMessage{},
		Of: map[string]string{}, Buckets: map[string]bool{}, Writes: []string{},
	}}
	flag.StringVar(&p.root, "root", "", "the administrator")
	flag.StringVar(&p.password, "password", "", "of the administrator")
	flag.StringVar(&p.upstream, "upstream", "", "URL of an S3 server")
	flag.StringVar(&p.key, "upstream-key", "", "access key there")
	flag.StringVar(&p.secret, "upstream-secret", "", "secret key there")
	flag.StringVar(&p.region, "region", "us-east-1", "MINIO_REGION")
	flag.Parse()
	if *cert != "" {
		log.Fatal(http.ListenAndServeTLS(*listen, *cert, *key, p))
	}
	log.Fatal(http.ListenAndServe(*listen, p))
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_peer/") {
		p.control(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	p.Lock()
	user, why := p.who(r, body)
	p.Unlock()
	step := strings.TrimPrefix(r.URL.Path, admin)
	if !strings.HasPrefix(r.URL.Path, admin) {
		step = r.Method + " bucket"
	}
	p.Lock()
	hold := p.hold != "" && p.hold == step
	refused := p.refuse == step
	p.Unlock()
	switch {
	case why != "":
		refuse(w, r, 403, why)
		return
	case refused:
		refuse(w, r, 503, "XMinioServerNotInitialized")
		return
	case strings.HasPrefix(r.URL.Path, admin):
		buffered := &answer{header: http.Header{}, status: 200}
		p.Lock()
		p.administer(buffered, r, user, body)
		p.Unlock()
		p.wait(hold)
		buffered.send(w)
	default:
		buffered := &answer{header: http.Header{}, status: 200}
		p.objects(buffered, r, user, body)
		p.wait(hold)
		buffered.send(w)
	}
}

// wait holds an answer back for as long as the test wants.
func (p *peer) wait(hold bool) {
	for hold {
		time.Sleep(20 * time.Millisecond)
		p.Lock()
		hold = p.hold != ""
		p.Unlock()
	}
}

func (p *peer) control(w http.ResponseWriter, r *http.Request) {
	p.Lock()
	defer p.Unlock()
	switch r.URL.Path {
	case "/_peer/hold":
		p.hold = r.URL.Query().Get("at")
	case "/_peer/refuse":
		p.refuse = r.URL.Query().Get("at")
	}
	json.NewEncoder(w).Encode(p.state)
}

// who says whose signature a request has, or why it is nobody's.
func (p *peer) who(r *http.Request, body []byte) (string, string) {
	query := r.URL.Query()
	var credential, signature, date string
	var signed []string
	payload := "UNSIGNED-PAYLOAD"
	if query.Get("X-Amz-Signature") != "" {
		if strings.HasPrefix(r.URL.Path, admin) {
			return "", "AccessDenied" // administration takes signed headers only
		}
		credential, signature = query.Get("X-Amz-Credential"), query.Get("X-Amz-Signature")
		date, signed = query.Get("X-Amz-Date"), strings.Split(query.Get("X-Amz-SignedHeaders"), ";")
		query.Del("X-Amz-Signature")
	} else {
		parts := map[string]string{}
		head := strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
		for _, one := range strings.Split(head, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
			parts[name] = value
		}
		credential, signature = parts["Credential"], parts["Signature"]
		date, signed = r.Header.Get("X-Amz-Date"), strings.Split(parts["SignedHeaders"], ";")
		payload = r.Header.Get("X-Amz-Content-Sha256")
		sum := sha256.Sum256(body)
		if payload != "UNSIGNED-PAYLOAD" && payload != hex.EncodeToString(sum[:]) {
			return "", "XAmzContentSHA256Mismatch"
		}
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[2] != p.region || scope[3] != "s3" || scope[4] != "aws4_request" {
		return "", "AuthorizationHeaderMalformed"
	}
	secret := p.password
	if scope[0] != p.root {
		user, there := p.Users[scope[0]]
		if !there || user.Status != madmin.AccountEnabled {
			return "", "InvalidAccessKeyId"
		}
		secret = user.SecretKey
	}
	var headers strings.Builder
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.TrimSpace(value))
	}
	request := strings.Join([]string{
		r.Method, r.URL.EscapedPath(), encoded(query), headers.String(),
		strings.Join(signed, ";"), payload,
	}, "\n")
	sum := sha256.Sum256([]byte(request))
	text := strings.Join([]string{
		"AWS4-HMAC-SHA256", date, strings.Join(scope[1:], "/"), hex.EncodeToString(sum[:]),
	}, "\n")
	key := []byte("AWS4" + secret)
	for _, one := range append(scope[1:], text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(one))
		key = mac.Sum(nil)
	}
	if hex.EncodeToString(key) != signature {
		return "", "SignatureDoesNotMatch"
	}
	return scope[0], ""
}

func encoded(query url.Values) string {
	var all []string
	for name, values := range query {
		for _, value := range values {
			pair := url.QueryEscape(name) + "=" + url.QueryEscape(value)
			all = append(all, strings.ReplaceAll(pair, "+", "%20"))
		}
	}
	sort.Strings(all)
	return strings.Join(all, "&")
}

func (p *peer) administer(w http.ResponseWriter, r *http.Request, user string, body []byte) {
	query, command := r.URL.Query(), strings.TrimPrefix(r.URL.Path, admin)
	if user != p.root {
		refuse(w, r, 403, "AccessDenied")
		return
	}
	if r.Method == http.MethodPut {
		p.Writes = append(p.Writes, command)
	}
	switch r.Method + " " + command {
	case "PUT add-canned-policy":
		var given policy
		if json.Unmarshal(body, &given) != nil || given.Version == "" {
			refuse(w, r, 400, "MalformedPolicy")
			return
		}
		p.Policies[query.Get("name")] = body
	case "PUT add-user":
		name := query.Get("accessKey")
		plain, err := madmin.DecryptData(p.password, bytes.NewReader(body))
		var given madmin.AddOrUpdateUserReq
		if err != nil || json.Unmarshal(plain, &given) != nil {
			refuse(w, r, 400, "XMinioAdminConfigBadJSON")
			return
		}
		if name == p.root || len(name) < 3 || len(given.SecretKey) < 8 {
			refuse(w, r, 400, "XMinioAdminInvalidSecretKey")
			return
		}
		p.Users[name] = given
	case "PUT set-user-or-group-policy":
		name := query.Get("userOrGroup")
		if _, there := p.Users[name]; !there || query.Get("isGroup") != "false" {
			refuse(w, r, 404, "XMinioAdminNoSuchUser")
			return
		}
		if _, there := p.Policies[query.Get("policyName")]; !there {
			refuse(w, r, 404, "XMinioAdminNoSuchPolicy")
			return
		}
		p.Of[name] = query.Get("policyName")
	case "GET user-info":
		name := query.Get("accessKey")
		found, there := p.Users[name]
		if !there {
			refuse(w, r, 404, "XMinioAdminNoSuchUser")
			return
		}
		json.NewEncoder(w).Encode(madmin.UserInfo{PolicyName: p.Of[name], Status: found.Status})
	default:
		refuse(w, r, 404, "MethodNotAllowed")
	}
}

func (p *peer) objects(w http.ResponseWriter, r *http.Request, user string, body []byte) {
	bucket, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	p.Lock()
	allowed := user == p.root || p.may(user, bucket)
	bare := rest == "" && r.Method == http.MethodPut
	there := p.Buckets[bucket]
	if bare && user == p.root {
		p.Buckets[bucket] = true
		p.Writes = append(p.Writes, "bucket")
	}
	p.Unlock()
	if !allowed || (bare && user != p.root) {
		refuse(w, r, 403, "AccessDenied")
		return
	}
	if bare && there {
		refuse(w, r, 409, "BucketAlreadyOwnedByYou")
		return
	}
	query := r.URL.Query()
	for name := range query {
		if strings.HasPrefix(name, "X-Amz-") {
			query.Del(name)
		}
	}
	request, _ := http.NewRequest(r.Method, p.upstream+r.URL.EscapedPath(), bytes.NewReader(body))
	request.URL.RawQuery = query.Encode()
	for _, name := range []string{"Range", "If-None-Match", "If-Match", "Content-Type"} {
		if value := r.Header.Get(name); value != "" {
			request.Header.Set(name, value)
		}
	}
	request.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	done, err := http.DefaultClient.Do(signer.SignV4(*request, p.key, p.secret, "", "us-east-1"))
	if err != nil {
		refuse(w, r, 503, "SlowDown")
		return
	}
	defer done.Body.Close()
	for name, values := range done.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(done.StatusCode)
	io.Copy(w, done.Body)
}

// may says whether the user's policy is for this bucket; which actions it has is not asked here.
func (p *peer) may(user, bucket string) bool {
	var found policy
	if json.Unmarshal(p.Policies[p.Of[user]], &found) != nil {
		return false
	}
	for _, one := range found.Statement {
		for _, resource := range one.Resource {
			if one.Effect == "Allow" && resource == "arn:aws:s3:::"+bucket {
				return true
			}
		}
	}
	return false
}

func refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	if strings.HasPrefix(r.URL.Path, admin) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"Code": code, "Message": code})
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
}

// answer keeps what is sent until it may go.
type answer struct {
	bytes.Buffer
	header http.Header
	status int
}

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }
func (a *answer) send(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	w.Write(a.Bytes())
}
