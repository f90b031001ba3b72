import './workers.js';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './style.css';

import { GraphiQL } from 'graphiql';
import { useEffect, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Answer } from './answer.jsx';
import { Bar } from './bar.jsx';
import { examples } from './examples.js';
import { makeFetcher, post } from './fetcher.js';
import { Ids } from './ids.jsx';

// Everything is kept in sessionStorage: the token, and the tabs, whose variables may
// hold a password or a bot's token. It ends with the browser tab.
const storage = window.sessionStorage;
const tokenKey = 'causeway:token';

const { endpoint, schemaUrl } = document.getElementById('root').dataset;

// whoQuery asks whose token it is, and for ids that the examples can use.
const whoQuery = `query Who {
  viewer { name role }
  campaigns(first: 1) { edges { node { id connections { id } } } }
}`;

function Playground() {
  const [token, setToken] = useState(() => storage.getItem(tokenKey) ?? '');
  const [mutations, setMutations] = useState(0);
  const [who, setWho] = useState({ text: '' });
  const [ids, setIds] = useState({});

  const changeToken = (changed) => {
    if (changed) storage.setItem(tokenKey, changed);
    else storage.removeItem(tokenKey);
    setToken(changed);
  };

  // A new fetcher is what makes GraphiQL fetch the schema again.
  const transport = useMemo(() => {
    const onMutation = (data) => {
      if (data.signIn?.token) changeToken(data.signIn.token);
      setMutations((count) => count + 1);
    };
    return makeFetcher({ endpoint, token, onMutation });
  }, [token]);
  useEffect(() => () => transport.close(), [transport]);

  useEffect(() => {
    if (!token) {
      setWho({ text: 'Signed out' });
      return undefined;
    }
    let current = true;
    post(endpoint, { query: whoQuery }, { authorization: `Bearer ${token}` })
      .then(({ data, errors }) => {
        if (!current) return;
        if (!data?.viewer) {
          setWho({ text: errors?.[0]?.message ?? 'The server did not answer as expected.', refused: true });
          return;
        }
        setWho({ text: `${data.viewer.name} · ${data.viewer.role}` });
        const campaign = data.campaigns?.edges?.[0]?.node;
        setIds({ campaign: campaign?.id, connection: campaign?.connections?.[0]?.id });
      })
      .catch(() => current && setWho({ text: 'The server cannot be reached.', refused: true }));
    return () => {
      current = false;
    };
  }, [token, mutations]);

  return (
    <>
      <Bar token={token} who={who} schemaURL={schemaUrl} onToken={changeToken} />
      <GraphiQL
        fetcher={transport.fetcher}
        storage={storage}
        defaultTabs={examples}
        defaultEditorToolsVisibility="variables"
        showPersistHeadersSettings={false}
        inputValueDeprecation
        schemaDescription
      >
        <GraphiQL.Logo>
          <></>
        </GraphiQL.Logo>
        <Answer />
        <Ids ids={ids} />
      </GraphiQL>
    </>
  );
}

createRoot(document.getElementById('root')).render(<Playground />);
