import { useEffect, useState } from 'react';

// Bar is the line above GraphiQL: whose token is used, and where the schema is.
export function Bar({ token, who, schemaURL, onToken }) {
  const [typed, setTyped] = useState(token);
  useEffect(() => setTyped(token), [token]);
  const submit = (event) => {
    event.preventDefault();
    onToken(typed.trim().replace(/^bearer\s+/i, ''));
  };
  return (
    <header className="bar">
      <h1>Causeway</h1>
      <form onSubmit={submit}>
        <label htmlFor="token">Token</label>
        <input
          id="token"
          type="password"
          autoComplete="off"
          spellCheck="false"
          placeholder="paste a bearer token"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        <button type="submit">Use</button>
        {token && (
          <button type="button" className="quiet" onClick={() => onToken('')}>
            Forget
          </button>
        )}
      </form>
      <output className={who.refused ? 'refused' : ''} aria-live="polite">
        {who.text}
      </output>
      <nav>
        {schemaURL && (
          <a href={schemaURL} target="_blank" rel="noreferrer">
            Schema
          </a>
        )}
        <a href="./playground/licences.txt" target="_blank" rel="noreferrer">
          Licences
        </a>
      </nav>
    </header>
  );
}
