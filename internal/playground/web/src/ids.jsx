import { useGraphiQL } from '@graphiql/react';
import { useEffect } from 'react';
import { withIds } from './examples.js';

// Ids puts the ids that the server told of where the open tab's variables still hold a
// placeholder. It shows nothing, and must be inside GraphiQL, whose editor it writes in.
// GraphiQL leaves the first tab's variables out of that editor; they are put there too.
export function Ids({ ids }) {
  const { tab, variableEditor } = useGraphiQL(({ tabs, activeTabIndex, variableEditor }) => ({
    tab: tabs[activeTabIndex],
    variableEditor,
  }));
  useEffect(() => {
    if (!variableEditor) return;
    const typed = variableEditor.getValue();
    const meant = withIds(typed || tab.variables || '', ids);
    if (meant !== typed) variableEditor.setValue(meant);
  }, [ids, tab.id, variableEditor]);
  return null;
}
