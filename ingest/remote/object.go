package remote

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// objectStore is one bucket; names are keys.
type objectStore struct {
	core   *minio.Core
	bucket string
}

// newObjectStore opens "s3://bucket" or "gs://bucket". For s3 the environment is
// that of the AWS tools: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
// AWS_SESSION_TOKEN, AWS_PROFILE and the shared credentials file, container and
// instance roles, AWS_REGION, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL. For gs,
// which is read by its S3 interface, it is GS_ACCESS_KEY_ID and
// GS_SECRET_ACCESS_KEY (HMAC keys) and GS_ENDPOINT_URL. Without credentials
// requests are anonymous, as public buckets take them.
func newObjectStore(store string, opts Options) (backend, error) {
	getenv := opts.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	kind, bucket, _ := strings.Cut(store, "://")
	o := &minio.Options{Transport: opts.Transport, MaxRetries: 1}
	endpoint := ""
	switch kind {
	case "s3":
		endpoint = cmp.Or(getenv("AWS_ENDPOINT_URL_S3"), getenv("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com")
		o.Region = cmp.Or(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"))
		o.Creds = s3Credentials(getenv)
	case "gs":
		endpoint = cmp.Or(getenv("GS_ENDPOINT_URL"), "https://storage.googleapis.com")
		o.Creds = fixedCredentials(getenv("GS_ACCESS_KEY_ID"), getenv("GS_SECRET_ACCESS_KEY"), "")
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("the endpoint in the environment is not of the form https://host:port")
	}
	o.Secure = u.Scheme == "https"
	core, err := minio.NewCore(u.Host, o)
	if err != nil {
		return nil, err
	}
	return &objectStore{core, bucket}, nil
}

func fixedCredentials(id, secret, token string) *credentials.Credentials {
	if id == "" || secret == "" {
		return credentials.NewStatic("", "", "", credentials.SignatureAnonymous)
	}
	return credentials.NewStaticV4(id, secret, token)
}

// s3Credentials looks where the AWS tools look, in their order.
func s3Credentials(getenv func(string) string) *credentials.Credentials {
	if id := getenv("AWS_ACCESS_KEY_ID"); id != "" {
		return fixedCredentials(id, getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN"))
	}
	file := credentials.NewFileAWSCredentials(getenv("AWS_SHARED_CREDENTIALS_FILE"), getenv("AWS_PROFILE"))
	if v, err := file.GetWithContext(nil); err == nil && v.AccessKeyID != "" {
		return file
	}
	if getenv("AWS_EC2_METADATA_DISABLED") == "true" {
		return fixedCredentials("", "", "")
	}
	// Away from AWS there is no such service; it must not be waited for long.
	quick := &credentials.CredContext{Client: &http.Client{Timeout: time.Second, Transport: &http.Transport{Proxy: nil}}}
	role := credentials.NewIAM("")
	if v, err := role.GetWithContext(quick); err == nil && v.AccessKeyID != "" {
		return role
	}
	return fixedCredentials("", "", "")
}

func objectInfo(i minio.ObjectInfo) Info {
	return Info{Location: i.Key, Size: i.Size, Modified: i.LastModified, Version: i.ETag}
}

func (s *objectStore) stat(ctx context.Context, key string) (Info, error) {
	i, err := s.core.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{})
	return objectInfo(i), objectError(err)
}

func (s *objectStore) list(ctx context.Context, prefix string, f func(Info) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for i := range s.core.Client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if i.Err != nil {
			return objectError(i.Err)
		}
		if strings.HasSuffix(i.Key, "/") {
			continue // what consoles put in place of an empty directory
		}
		if err := f(objectInfo(i)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *objectStore) get(ctx context.Context, key string, info Info, from, to int64) (io.ReadCloser, error) {
	var o minio.GetObjectOptions
	if err := o.SetRange(from, to-1); err != nil {
		return nil, err
	}
	if info.Version != "" {
		if err := o.SetMatchETag(info.Version); err != nil {
			return nil, err
		}
	}
	r, got, _, err := s.core.GetObject(ctx, s.bucket, key, o)
	if err != nil {
		return nil, objectError(err)
	}
	if info.Version != "" && got.ETag != info.Version {
		r.Close()
		return nil, ErrChanged
	}
	return r, nil
}
