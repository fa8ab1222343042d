/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Encodings and dates: see text.h.
 */

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "text.h"

void text_hex(const void *data, size_t len, char *out)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = hex[p[i] >> 4];
		out[2 * i + 1] = hex[p[i] & 15];
	}
	out[2 * len] = '\0';
}

void text_other_etag(const uint8_t raw[16], char *out)
{
	text_hex(raw, 16, out);
	memcpy(out + 32, "-1", 3);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int text_unhex(const char *s, size_t len, uint8_t *ret_out)
{
	if (strlen(s) != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int hi = nibble(s[2 * i]), lo = nibble(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		ret_out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

void text_base64(const void *data, size_t len, char *out)
{
	(void)EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

int text_unbase64(const char *s, size_t len, uint8_t *ret_out)
{
	size_t n = strlen(s), pad = 0;
	unsigned char tmp[256];

	if (n == 0 || n % 4 || n / 4 * 3 > sizeof(tmp))
		return -EINVAL;
	if (EVP_DecodeBlock(tmp, (const unsigned char *)s, (int)n) < 0)
		return -EINVAL;
	while (pad < 2 && s[n - 1 - pad] == '=')
		pad++;
	if (n / 4 * 3 - pad != len)
		return -EINVAL;
	memcpy(ret_out, tmp, len);
	return 0;
}

int text_uri_decode(char *s, bool plus_is_space)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '%') {
			int hi = nibble(s[1]), lo = hi < 0 ? -1 : nibble(s[2]);

			if (lo < 0 || (hi == 0 && lo == 0))
				return -EINVAL;
			*out++ = (char)(hi << 4 | lo);
			s += 2;
		} else {
			*out++ = *s == '+' && plus_is_space ? ' ' : *s;
		}
	}
	*out = '\0';
	return 0;
}

int text_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

void text_http_date(time_t t, char out[TEXT_DATE_MAX])
{
	struct tm tm;

	gmtime_r(&t, &tm);
	(void)strftime(out, TEXT_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static char *put_digits(char *out, unsigned v, int n)
{
	for (int i = n - 1; i >= 0; i--, v /= 10)
		out[i] = (char)('0' + v % 10);
	return out + n;
}

/* A listing prints a thousand of these: no strftime. */
void text_iso_date(uint64_t ns, char out[TEXT_DATE_MAX])
{
	time_t t = (time_t)(ns / 1000000000u);
	struct tm tm;

	gmtime_r(&t, &tm);
	out = put_digits(out, (unsigned)tm.tm_year + 1900, 4);
	*out++ = '-';
	out = put_digits(out, (unsigned)tm.tm_mon + 1, 2);
	*out++ = '-';
	out = put_digits(out, (unsigned)tm.tm_mday, 2);
	*out++ = 'T';
	out = put_digits(out, (unsigned)tm.tm_hour, 2);
	*out++ = ':';
	out = put_digits(out, (unsigned)tm.tm_min, 2);
	*out++ = ':';
	out = put_digits(out, (unsigned)tm.tm_sec, 2);
	*out++ = '.';
	out = put_digits(out, (unsigned)(ns / 1000000u % 1000u), 3);
	memcpy(out, "Z", 2);
}

static int parse_date(const char *s, const char *fmt, time_t *ret)
{
	struct tm tm = {0};
	const char *end = strptime(s, fmt, &tm);

	if (!end || *end)
		return -EINVAL;
	*ret = timegm(&tm);
	return 0;
}

int text_parse_http_date(const char *s, time_t *ret)
{
	return parse_date(s, "%a, %d %b %Y %H:%M:%S GMT", ret);
}

int text_parse_amz_date(const char *s, time_t *ret)
{
	return parse_date(s, "%Y%m%dT%H%M%SZ", ret);
}
