// expect fails the script unless two values are equal as JSON.
export function expect(what, got, want) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) {
    console.error(`${what}: ${a}, expected ${b}`);
    process.exit(1);
  }
  console.log(`${what}: as expected`);
}

// counting is fetch that notes every request.
export function counting() {
  const requests = [];
  const counted = async (url, options = {}) => {
    const response = await fetch(url, options);
    requests.push({
      method: options.method ?? 'GET',
      hasQuery: String(url).includes('query=') || (typeof options.body === 'string' && options.body.includes('"query"')),
      status: response.status,
    });
    return response;
  };
  counted.requests = requests;
  return counted;
}

export const sha256 = async (text) =>
  Buffer.from(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))).toString('hex');
